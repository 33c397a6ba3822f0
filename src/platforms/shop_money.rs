//! What was given back in another currency than a shop's own, in the shop's own, in which its orders are counted. Shopify says what was
//! paid in one currency only, and what it was for in both (<https://shopify.dev/docs/api/admin-rest/latest/resources/refund>). Pure.

use serde::Deserialize;

use super::adapter::{Doubt, Loose, bad_field};
use crate::base::{Currency, Money};

/// An amount in both currencies.
#[derive(Deserialize)]
pub(super) struct PriceSet {
    shop_money: Price,
    presentment_money: Price,
}

#[derive(Deserialize)]
struct Price {
    amount: Loose,
    currency_code: String,
}

/// What a refund is for.
#[derive(Default)]
pub(super) struct Reasons<'a> {
    /// Goods.
    pub lines: Vec<&'a PriceSet>,
    /// The taxes on them, which some shops count into the goods.
    pub taxes: Vec<&'a PriceSet>,
    /// What is below zero here is given back too, for instance for shipping; what is above is kept back.
    pub adjustments: Vec<&'a PriceSet>,
}

/// Sums of minor units: in the shop's currency, and in the one that was paid.
#[derive(Clone, Copy, Default)]
struct Both {
    shop: i128,
    paid: i128,
}

impl Both {
    fn plus(self, other: Self) -> Self {
        Self { shop: self.shop + other.shop, paid: self.paid + other.paid }
    }

    fn minus(self, other: Self) -> Self {
        Self { shop: self.shop - other.shop, paid: self.paid - other.paid }
    }
}

/// What was paid back, in the shop's own currency. Where the reasons add up to what was paid, it is their sum to the unit; else it is
/// changed at their rate, to the nearest unit. Without reasons it is what it is.
pub(super) fn in_shop_money(paid: Money, reasons: &Reasons<'_>) -> Result<Money, Doubt> {
    let mut sets = reasons.lines.iter().chain(&reasons.taxes).chain(&reasons.adjustments);
    let Some(first) = sets.next() else { return Ok(paid) };
    let shop = currency(&first.shop_money)?;
    if shop == paid.currency {
        return Ok(paid);
    }
    let sum = |sets: &[&PriceSet]| {
        sets.iter().try_fold(Both::default(), |sum, set| Ok::<_, Doubt>(sum.plus(read(set, shop, paid.currency)?)))
    };
    let without_taxes = sum(&reasons.lines)?.minus(sum(&reasons.adjustments)?);
    let with_taxes = without_taxes.plus(sum(&reasons.taxes)?);
    let candidates = [with_taxes, without_taxes];
    let exact = candidates.iter().find(|sums| sums.paid == i128::from(paid.minor)).map(|sums| sums.shop);
    let rated = || {
        let rate = candidates.iter().find(|sums| sums.paid > 0 && sums.shop > 0)?;
        Some((i128::from(paid.minor) * rate.shop * 2 + rate.paid) / (rate.paid * 2))
    };
    let minor = exact.or_else(rated).and_then(|minor| i64::try_from(minor).ok()).filter(|minor| *minor > 0);
    let minor =
        minor.ok_or_else(|| bad_field("transactions", "an amount that can be told in the shop's own currency"))?;
    Ok(Money::new(minor, shop))
}

fn read(set: &PriceSet, shop: Currency, paid: Currency) -> Result<Both, Doubt> {
    if currency(&set.shop_money)? != shop || currency(&set.presentment_money)? != paid {
        return Err(bad_field("refund_line_items", "in the currencies of the refund"));
    }
    Ok(Both { shop: minor(&set.shop_money, shop)?, paid: minor(&set.presentment_money, paid)? })
}

fn currency(price: &Price) -> Result<Currency, Doubt> {
    let wrong = |_error: crate::base::MoneyError| bad_field("currency_code", "a code of ISO 4217");
    price.currency_code.parse().map_err(wrong)
}

fn minor(price: &Price, currency: Currency) -> Result<i128, Doubt> {
    let wrong = || bad_field("amount", "an amount of its currency");
    let text = price.amount.text().ok_or_else(wrong)?;
    let (sign, digits) = text.strip_prefix('-').map_or((1, text.as_str()), |digits| (-1, digits));
    let money = Money::parse(digits, currency).map_err(|_error: crate::base::MoneyError| wrong())?;
    Ok(i128::from(money.minor) * sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(shop: &str, paid: &str) -> PriceSet {
        let price =
            |text: &str, code: &str| Price { amount: Loose::Text(text.to_owned()), currency_code: code.to_owned() };
        PriceSet { shop_money: price(shop, "USD"), presentment_money: price(paid, "EUR") }
    }

    #[test]
    fn what_was_paid_is_told_in_the_shops_currency_and_exactly_where_it_can_be() {
        let check = |paid: &str,
                     lines: &[(&str, &str)],
                     taxes: &[(&str, &str)],
                     adjustments: &[(&str, &str)],
                     expected: Option<&str>| {
            let sets = |pairs: &[(&str, &str)]| pairs.iter().map(|(shop, paid)| set(shop, paid)).collect::<Vec<_>>();
            let (lines, taxes, adjustments) = (sets(lines), sets(taxes), sets(adjustments));
            let (lines, taxes, adjustments) =
                (lines.iter().collect(), taxes.iter().collect(), adjustments.iter().collect());
            let paid = Money::parse(paid, "EUR".parse().unwrap()).unwrap();
            let found = in_shop_money(paid, &Reasons { lines, taxes, adjustments }).ok();
            let shown = found.map(|money| format!("{} {}", money.amount(), money.currency));
            assert_eq!(shown.as_deref(), expected, "{paid:?}");
        };
        check("361.00", &[("398.00", "361.00")], &[], &[], Some("398.00 USD"));
        check("90.50", &[("90.00", "82.00")], &[("9.33", "8.50")], &[], Some("99.33 USD"));
        check("82.00", &[("90.00", "82.00")], &[("9.33", "8.50")], &[], Some("90.00 USD"));
        check("87.00", &[("90.00", "82.00")], &[], &[("-5.49", "-5.00")], Some("95.49 USD"));
        check("5.00", &[], &[], &[("-5.49", "-5.00")], Some("5.49 USD"));
        check("41.00", &[("90.00", "82.00")], &[], &[], Some("45.00 USD"));
        check("1.00", &[("1.00", "3.00")], &[], &[], Some("0.33 USD"));
        check("1.00", &[], &[], &[], Some("1.00 EUR"));
        check("1.00", &[("0.00", "0.00")], &[], &[], None);
        check("1.00", &[("x", "1.00")], &[], &[], None);
    }

    #[test]
    fn a_shop_that_is_paid_in_its_own_currency_is_left_alone() {
        let paid = Money::parse("10.00", "USD".parse().unwrap()).unwrap();
        let line = set("398.00", "361.00");
        let reasons = Reasons { lines: vec![&line], ..Reasons::default() };
        assert_eq!(in_shop_money(paid, &reasons).ok(), Some(paid));
    }
}
