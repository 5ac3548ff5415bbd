//! Writes YAML: short things on one line, everything else in blocks, and text quoted where it must be.
//!
//! Only what `render` needs: no anchors, tags or multi-line text.

/// The longest mapping or list that is written on one line.
const LINE_LENGTH_MAX: usize = 76;

/// A value to be written, its fields in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Text(String),
    Number(u64),
    /// A number with a point, as it is to be written.
    Decimal(String),
    Flag(bool),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Writes a mapping as a document. Lists of its fields always have a line for each entry.
pub(super) fn write(fields: &[(String, Node)]) -> String {
    let mut text = String::new();
    for (name, node) in fields {
        text.push_str(&quoted(name));
        text.push(':');
        match node {
            Node::List(entries) if !entries.is_empty() => {
                text.push('\n');
                entries.iter().for_each(|entry| write_entry(entry, 0, &mut text));
            }
            _ => write_value(node, 2, &mut text),
        }
    }
    text
}

fn write_entry(entry: &Node, indent: usize, text: &mut String) {
    let margin = " ".repeat(indent);
    match entry {
        Node::Map(fields) if !fields.is_empty() => {
            for (index, (name, node)) in fields.iter().enumerate() {
                let bullet = if index == 0 { "- " } else { "  " };
                text.push_str(&format!("{margin}{bullet}{}:", quoted(name)));
                write_value(node, indent + 4, text);
            }
        }
        other => text.push_str(&format!("{margin}- {}\n", flow(other))),
    }
}

/// Writes what follows a field's colon; what does not fit on the line is indented.
fn write_value(node: &Node, indent: usize, text: &mut String) {
    let line = flow(node);
    let is_block = match node {
        Node::Map(fields) => !fields.is_empty() && line.len() > LINE_LENGTH_MAX,
        Node::List(entries) => {
            let has_maps = entries.iter().any(|entry| matches!(entry, Node::Map(_)));
            !entries.is_empty() && (has_maps || line.len() > LINE_LENGTH_MAX)
        }
        _ => false,
    };
    if !is_block {
        text.push_str(&format!(" {line}\n"));
        return;
    }
    text.push('\n');
    let margin = " ".repeat(indent);
    match node {
        Node::Map(fields) => {
            for (name, node) in fields {
                text.push_str(&format!("{margin}{}:", quoted(name)));
                write_value(node, indent + 2, text);
            }
        }
        Node::List(entries) => {
            entries.iter().for_each(|entry| write_entry(entry, indent - 2, text))
        }
        _ => {}
    }
}

/// A value on one line.
fn flow(node: &Node) -> String {
    match node {
        Node::Text(text) => quoted(text),
        Node::Number(number) => number.to_string(),
        Node::Decimal(number) => number.clone(),
        Node::Flag(flag) => flag.to_string(),
        Node::List(entries) => {
            format!("[{}]", entries.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        Node::Map(fields) if fields.is_empty() => "{}".to_owned(),
        Node::Map(fields) => {
            let fields =
                fields.iter().map(|(name, node)| format!("{}: {}", quoted(name), flow(node)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text as a YAML scalar: as it is where no reader of YAML can take it for anything else.
pub(super) fn quoted(text: &str) -> String {
    let starts_plain = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let is_plain =
        text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-./:|".contains(letter));
    let is_word = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
        .contains(&text.to_ascii_lowercase().as_str());
    if starts_plain && is_plain && !is_word && !text.ends_with(':') {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            ' '..='~' => quoted.push(letter),
            // Letters beyond ASCII could stay, but some may not stand in YAML; the escape always may.
            other => quoted.push_str(&format!("\\U{:08X}", u32::from(other))),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_where_it_could_be_taken_for_something_else() {
        for (text, written) in [
            ("edition.cnn.com", "edition.cnn.com"),
            ("https://a.com:8443", "https://a.com:8443"),
            ("outbound|443||a.com", "outbound|443||a.com"),
            ("/v2/", "/v2/"),
            ("25s", "\"25s\""),
            ("No", "\"No\""),
            ("*.a.com", "\"*.a.com\""),
            ("", "\"\""),
            ("a: b", "\"a: b\""),
            ("a:", "\"a:\""),
            ("a\"\\\n\u{e9}", "\"a\\\"\\\\\\U0000000A\\U000000E9\""),
        ] {
            assert_eq!(quoted(text), written);
        }
    }
}
