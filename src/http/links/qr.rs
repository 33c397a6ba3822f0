//! The address of a link as a QR code: as SVG, or as PNG of a size that fits. Looking at it is no click.

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use qrcode::render::svg;
use qrcode::{Color, EcLevel, QrCode};
use serde::Deserialize;

use super::{BrandName, Name, page, resolve, resolve_of_brand};
use crate::base::limits::QR_PIXELS_MAX;
use crate::base::{Error, Result};
use crate::brands;
use crate::http::house::House;
use crate::links::{Resolution, ResolvedLink};

const PIXELS_DEFAULT: u32 = 512;
/// Modules of white around the code, as ISO/IEC 18004 asks.
const QUIET_ZONE: usize = 4;
/// The code of a link never changes; a link that was revoked should not be printed for long.
const CACHE: &str = "public, max-age=3600";

#[derive(Deserialize)]
pub(in crate::http) struct Size {
    size: Option<u32>,
}

type SizeQuery = std::result::Result<Query<Size>, axum::extract::rejection::QueryRejection>;

#[derive(Clone, Copy)]
enum Format {
    Svg,
    Png { pixels: u32 },
}

pub(in crate::http) async fn qr(State(house): State<House>, name: Name, size: SizeQuery, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let Some((name, format)) = name.ok().and_then(|Path(name)| split(name, size)) else { return page::unknown() };
    let found = resolve(&house, &parts, &name).await;
    answer(&house, found, format).await
}

pub(in crate::http) async fn qr_of_brand(
    State(house): State<House>,
    name: BrandName,
    size: SizeQuery,
    request: Request,
) -> Response {
    let Ok(Path((brand, name))) = name else { return page::unknown() };
    let Some((name, format)) = split(name, size) else { return page::unknown() };
    let (parts, _) = request.into_parts();
    let found = resolve_of_brand(&house, &parts, &brand, &name).await;
    answer(&house, found, format).await
}

/// The link's name and the format that its ending asks for.
fn split(name: String, size: SizeQuery) -> Option<(String, Format)> {
    let pixels = size.ok()?.0.size.unwrap_or(PIXELS_DEFAULT);
    let (name, ending) = name.rsplit_once('.')?;
    let format = match ending {
        "svg" => Format::Svg,
        "png" if (64..=QR_PIXELS_MAX).contains(&pixels) => Format::Png { pixels },
        _ => return None,
    };
    Some((name.to_owned(), format))
}

async fn answer(house: &House, found: Result<Resolution>, format: Format) -> Response {
    let drawn = match found {
        Ok(Resolution::Found(link)) => draw(house, &link, format).await,
        Ok(closed) => return page::closed(&closed),
        Err(error) => Err(error),
    };
    match drawn {
        Ok((media_type, bytes)) => {
            (StatusCode::OK, [(CONTENT_TYPE.as_str(), media_type), ("cache-control", CACHE)], bytes).into_response()
        }
        Err(error) => page::fault(&error),
    }
}

async fn draw(house: &House, link: &ResolvedLink, format: Format) -> Result<(&'static str, Vec<u8>)> {
    let home = brands::home(&mut *house.app.db.conn().await?, &link.scope).await?;
    let url = link.link.short_url(&house.app.settings.public_url, &home);
    let code = QrCode::with_error_correction_level(url.as_bytes(), EcLevel::M);
    let code = code.map_err(|error| Error::fault("making a QR code", error))?;
    match format {
        Format::Svg => {
            let text = code.render::<svg::Color<'_>>().min_dimensions(256, 256).build();
            Ok(("image/svg+xml", text.into_bytes()))
        }
        // Millions of pixels: not beside requests that wait for nothing but their turn.
        Format::Png { pixels } => {
            let drawn = tokio::task::spawn_blocking(move || png(&code, pixels)).await;
            Ok(("image/png", drawn.map_err(|error| Error::fault("drawing a QR code", error))??))
        }
    }
}

/// An image of one bit per pixel, whole pixels per module, the rest white.
fn png(code: &QrCode, pixels: u32) -> Result<Vec<u8>> {
    let (side, width) = (pixels as usize, code.width());
    let scale = (side / (width + 2 * QUIET_ZONE)).max(1);
    let margin = side.saturating_sub(scale * width) / 2;
    let row_bytes = side.div_ceil(8);
    let white = vec![0xff_u8; row_bytes];
    let mut rows = white.repeat(side);
    for (y, modules) in code.to_colors().chunks(width).enumerate() {
        let mut row = white.clone();
        for (x, _) in modules.iter().enumerate().filter(|(_, color)| **color == Color::Dark) {
            let from = margin + x * scale;
            for pixel in (from..from + scale).filter(|pixel| *pixel < side) {
                row[pixel / 8] &= !(0x80 >> (pixel % 8));
            }
        }
        // All rows of a module are the same.
        rows.chunks_mut(row_bytes).skip(margin + y * scale).take(scale).for_each(|own| own.copy_from_slice(&row));
    }
    let fault = |error: png::EncodingError| Error::fault("writing a QR code as PNG", error);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, pixels, pixels);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().map_err(fault)?;
    writer.write_image_data(&rows).map_err(fault)?;
    writer.finish().map_err(fault)?;
    Ok(bytes)
}
