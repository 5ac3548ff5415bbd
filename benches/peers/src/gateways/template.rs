//! Configurations with places to fill in: `{{NAME}}`.

/// Fills every place in.
///
/// # Panics
///
/// If a place of the template has no value, or a value no place: a template belongs to its code.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("a place ends");
        let value = values.iter().find(|(known, _)| *known == name);
        text.push_str(before);
        text.push_str(value.unwrap_or_else(|| panic!("nothing for {{{{{name}}}}}")).1);
        rest = after;
    }
    for (name, _) in values {
        assert!(template.contains(&format!("{{{{{name}}}}}")), "no place for {name}");
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_wherever_they_are() {
        let text = fill("{{A}} { {{B}}: {} } {{A}}", &[("A", "1"), ("B", "{{A}}")]);
        assert_eq!(text, "1 { {{A}}: {} } 1");
    }

    #[test]
    #[should_panic(expected = "nothing for {{B}}")]
    fn a_place_without_a_value_is_found_out() {
        fill("{{B}}", &[]);
    }
}
