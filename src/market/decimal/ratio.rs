//! `ratio`: division that rounds once.

use std::cmp::Ordering;

/// `dividend / divisor` in steps of 1 / `scale`: the nearest step, halves to the even one. `None` if
/// the divisor is not positive or the result does not fit.
pub(in crate::market) fn ratio(dividend: i128, scale: i128, divisor: i128) -> Option<i128> {
    if divisor <= 0 {
        return None;
    }
    // The remainder is scaled apart from the quotient, so that neither outgrows 128 bits.
    let whole = dividend.div_euclid(divisor).checked_mul(scale)?;
    let rest = dividend.rem_euclid(divisor).checked_mul(scale)?;
    let floor = whole.checked_add(rest / divisor)?;
    let rest = rest % divisor;
    let up = match rest.cmp(&(divisor - rest)) {
        Ordering::Less => 0,
        Ordering::Equal => floor & 1,
        Ordering::Greater => 1,
    };
    floor.checked_add(up)
}
