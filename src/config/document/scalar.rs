//! What a scalar means, by its notation, its tag and its text: YAML 1.2's core schema, with `_` between
//! digits and binary numbers besides, as Kubernetes reads them.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{ScalarStyle, Tag};

use super::tree::Kind;

/// A scalar understood.
#[derive(Debug, PartialEq)]
pub enum Scalar<'t> {
    /// Null or a boolean.
    Word(Kind),
    /// A number by its bits.
    Number(Kind, u64),
    Text(Cow<'t, str>),
}

/// What a scalar means. Errors: why it cannot mean what its tag says.
pub fn read<'t>(
    text: Cow<'t, str>,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<Scalar<'t>, String> {
    let Some(tag) = tag else {
        return if style == ScalarStyle::Plain { plain(text) } else { Ok(Scalar::Text(text)) };
    };
    let trimmed = text.trim_matches([' ', '\t', '\r', '\n']);
    let of_tag = match tag.core_suffix() {
        Some("str") => return Ok(Scalar::Text(text)),
        Some("null") => return Ok(Scalar::Word(Kind::Null)),
        Some("bool") => boolean(trimmed).ok_or("not a boolean, as its tag says"),
        Some("int") => integer(trimmed).ok_or("not a whole number, as its tag says"),
        Some("float") => float(trimmed)?.ok_or("not a number, as its tag says"),
        _ if tag.suffix_in_namespace("!").as_deref() == Some("") => return Ok(Scalar::Text(text)),
        _ if tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() == Some("binary") => {
            return binary(&text).map(Scalar::Text);
        }
        // Tags of somebody's own say nothing here.
        _ if style == ScalarStyle::Plain => return plain(text),
        _ => return Ok(Scalar::Text(text)),
    };
    of_tag.map_err(str::to_owned)
}

/// Whether a scalar without a tag is null.
pub fn is_null(text: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn plain(text: Cow<'_, str>) -> Result<Scalar<'_>, String> {
    if is_null(&text, ScalarStyle::Plain) {
        return Ok(Scalar::Word(Kind::Null));
    }
    // Most texts begin with a letter that no number, boolean or null begins with.
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.tTfF".contains(first)) {
        return Ok(Scalar::Text(text));
    }
    let other = match boolean(&text).or_else(|| integer(&text)) {
        Some(known) => Some(known),
        None => float(&text)?,
    };
    Ok(other.unwrap_or(Scalar::Text(text)))
}

fn boolean<'t>(text: &str) -> Option<Scalar<'t>> {
    match text {
        "true" | "True" | "TRUE" => Some(Scalar::Word(Kind::True)),
        "false" | "False" | "FALSE" => Some(Scalar::Word(Kind::False)),
        _ => None,
    }
}

fn integer<'t>(text: &str) -> Option<Scalar<'t>> {
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match unsigned.get(..2) {
        Some("0x" | "0X") => (16, &unsigned[2..]),
        Some("0o" | "0O") => (8, &unsigned[2..]),
        Some("0b" | "0B") => (2, &unsigned[2..]),
        _ => (10, unsigned),
    };
    let has_leading_zero = radix == 10 && digits.len() > 1 && digits.starts_with('0');
    let is_well_formed = digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !digits.starts_with('_')
        && !digits.ends_with('_')
        && !digits.contains("__");
    if has_leading_zero || !is_well_formed {
        return None;
    }
    let digits: Cow<'_, str> =
        if digits.contains('_') { digits.replace('_', "").into() } else { digits.into() };
    let size = u64::from_str_radix(&digits, radix).ok()?;
    if is_negative && size != 0 {
        let number = 0i64.checked_sub_unsigned(size)?;
        return Some(Scalar::Number(Kind::Negative, number as u64));
    }
    Some(Scalar::Number(Kind::Unsigned, size))
}

/// Errors: a number that is not finite.
fn float<'t>(text: &str) -> Result<Option<Scalar<'t>>, String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_not_finite = matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN");
    let begins_so = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    match text.parse::<f64>() {
        _ if is_not_finite => Err(format!("{text} is not a finite number")),
        Ok(number) if begins_so && number.is_infinite() => {
            Err(format!("{text} is not a finite number"))
        }
        Ok(number) if begins_so => Ok(Some(Scalar::Number(Kind::Float, number.to_bits()))),
        _ => Ok(None), // `inf` and `nan` are texts
    }
}

fn binary(text: &str) -> Result<Cow<'static, str>, String> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(digits).map_err(|_| "!!binary is not base64".to_owned())?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| "!!binary is not a text".to_owned())
}
