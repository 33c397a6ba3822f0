-- Platforms with formats of their own, and the version of its format that a source last posted in: the first sign that one changes.
alter table webhook_sources
drop constraint webhook_sources_scheme_check,
add constraint webhook_sources_scheme_check check (
    scheme in (
        'GENERIC', 'STANDARD_WEBHOOKS', 'META', 'TIKTOK', 'YOUTUBE', 'SHOPIFY', 'STRIPE', 'BRANCH', 'APPSFLYER'
    )
),
add column schema_version text,
add constraint webhook_sources_schema_version_check check (length(schema_version) between 1 and 64);
