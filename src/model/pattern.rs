//! Regular expressions, as Istio and Envoy mean them: RE2's syntax, in time linear in the text.
//!
//! The only place that names the regex library. Two are equal when they were written the same.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

/// Memory that one compiled expression may take.
const SIZE_MAX: usize = 1 << 20;

/// An expression that a whole text must match (RE2's full match).
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Errors: what is wrong with the expression, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        compile(text)?; // so that a lone parenthesis cannot close the group below
        let regex = compile(&format!(r"\A(?:{text})\z"))?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// An expression, and what every part of a text that it matches becomes (RE2's GlobalReplace).
#[derive(Clone)]
pub struct Substitution {
    text: String,
    regex: Regex,
    with: String,
    /// `with` in the library's own notation.
    template: Vec<u8>,
}

impl Substitution {
    /// `with` may name groups of the expression: `\1`, and `\0` for all of it; `\\` is a backslash.
    ///
    /// Errors: what is wrong with either, in one line.
    pub fn parse(text: &str, with: &str) -> Result<Self, String> {
        let regex = compile(text)?;
        let template = template(with, regex.captures_len())?;
        Ok(Self { text: text.to_owned(), regex, with: with.to_owned(), template })
    }

    /// The text with every match replaced.
    pub fn apply(&self, text: &[u8]) -> Vec<u8> {
        self.regex.replace_all(text, self.template.as_slice()).into_owned()
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The replacement as it was written.
    pub fn with(&self) -> &str {
        &self.with
    }
}

fn compile(text: &str) -> Result<Regex, String> {
    // Bytes, not characters: what comes from the network need not be UTF-8.
    let built = RegexBuilder::new(text).unicode(false).size_limit(SIZE_MAX).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("\"{text}\" needs more than {limit} bytes of memory")
        }
        error => {
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default();
            format!(
                "\"{text}\" is not a regular expression: {}",
                last.trim_start_matches("error: ")
            )
        }
    })
}

/// From RE2's notation of groups to the library's.
fn template(with: &str, groups: usize) -> Result<Vec<u8>, String> {
    let mut template = String::new();
    let mut letters = with.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '$' => template.push_str("$$"),
            '\\' => match letters.next() {
                Some('\\') => template.push('\\'),
                Some(digit)
                    if digit.to_digit(10).is_some_and(|group| (group as usize) < groups) =>
                {
                    template.push_str(&format!("${{{digit}}}"));
                }
                Some(digit) if digit.is_ascii_digit() => {
                    return Err(format!(
                        "\"{with}\" names group {digit}, which the expression has not"
                    ));
                }
                _ => {
                    return Err(format!("\"{with}\" has a backslash that is followed by no digit"));
                }
            },
            letter => template.push(letter),
        }
    }
    Ok(template.into_bytes())
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl PartialEq for Substitution {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.with) == (&other.text, &other.with)
    }
}

impl Eq for Substitution {}

impl fmt::Debug for Substitution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} -> {:?}", self.text, self.with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_must_match() {
        for (pattern, text, matches) in [
            ("/v[12]/.*", "/v1/a", true),
            ("/v[12]/.*", "/v1/", true),
            ("/v[12]/", "/v1/a", false),
            ("a|b", "ab", false),
            ("a|b", "b", true),
            (r"\d+", "12", true),
            ("(?i)edge.*", "Edge/12", true),
            (".*", "", true),
        ] {
            let parsed = Pattern::parse(pattern).expect("valid");
            assert_eq!(parsed.matches(text.as_bytes()), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn a_broken_expression_is_told_in_one_line() {
        for text in ["(", "a)(b", "[z-a]", "*", r"(?<x", r"\p{Greek}"] {
            let error = Pattern::parse(text).expect_err(text);
            assert!(error.starts_with(&format!("\"{text}\" ")) && !error.contains('\n'), "{error}");
        }
        let error = Pattern::parse("(a{1000}){1000}").expect_err("too large");
        assert!(error.contains("bytes of memory"), "{error}");
    }

    #[test]
    fn every_match_is_replaced() {
        for (find, with, text, becomes) in [
            ("^/cacheable(.*)", r"\1", "/cacheable/a", "/a"),
            ("^/([^/]+)/(.*)", r"/\2/\1", "/a/b/c", "/b/c/a"),
            ("a", r"$1\\\0", "aba", r"$1\ab$1\a"),
            ("x", "y", "/a", "/a"),
        ] {
            let parsed = Substitution::parse(find, with).expect("valid");
            assert_eq!(
                parsed.apply(text.as_bytes()).escape_ascii().to_string(),
                becomes.as_bytes().escape_ascii().to_string()
            );
        }
        for with in [r"\2", r"\", r"\x"] {
            assert!(Substitution::parse("(a)", with).is_err(), "{with}");
        }
    }
}
