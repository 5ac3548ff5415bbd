//! A JSON value as YAML, for reading.
//!
//! It writes every text in double quotes but names of fields, so that nothing can be mistaken for another type.

use std::fmt::Write;

use serde_json::Value;

/// The value as a YAML document, line end included.
pub(super) fn text(value: &Value) -> String {
    let mut text = String::new();
    match nested(value) {
        true => write(value, 0, &mut text),
        false => writeln!(text, "{value}").expect("a String takes every write"),
    }
    text
}

/// Whether the value takes lines of its own; JSON's form of everything else is YAML's too.
fn nested(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => false,
    }
}

/// Writes a nested value whose first line has been indented already.
fn write(value: &Value, depth: usize, text: &mut String) {
    let indent = |text: &mut String, index: usize| {
        if index > 0 {
            text.push_str(&"  ".repeat(depth));
        }
    };
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                indent(text, index);
                text.push_str("- ");
                match nested(item) {
                    true => write(item, depth + 1, text),
                    false => writeln!(text, "{item}").expect("a String takes every write"),
                }
            }
        }
        Value::Object(fields) => {
            for (index, (name, field)) in fields.iter().enumerate() {
                indent(text, index);
                write_field(name, field, depth, text);
            }
        }
        scalar => writeln!(text, "{scalar}").expect("a String takes every write"),
    }
}

fn write_field(name: &str, field: &Value, depth: usize, text: &mut String) {
    let plain = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&name.to_ascii_lowercase().as_str());
    match plain {
        true => text.push_str(name),
        false => text.push_str(&Value::from(name).to_string()),
    }
    match field {
        field if !nested(field) => {
            writeln!(text, ": {field}").expect("a String takes every write");
        }
        field => {
            text.push_str(":\n");
            text.push_str(&"  ".repeat(depth + 1));
            write(field, depth + 1, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_and_maps_are_indented_and_texts_quoted() {
        let value = json!([
            {"a": [1, {"b": "x: \"y\"\n", "envoy.z": []}, [true, null]], "n": {}},
            "no",
        ]);
        let expected = "\
- a:
    - 1
    - b: \"x: \\\"y\\\"\\n\"
      \"envoy.z\": []
    - - true
      - null
  \"n\": {}
- \"no\"
";
        assert_eq!(text(&value), expected);
        assert_eq!(text(&json!([])), "[]\n");
    }
}
