//! Values of documents as serde takes them, and the place of what is wrong with one.
//!
//! Istio's objects are read with the habits of protobuf's JSON form, in which they are defined: a field may be written
//! in snake_case, a number as a text, a whole number with a point, and an enumeration's value may be its number.
//! Source: the ProtoJSON format (protobuf.dev), `jsonpb` as istiod uses it.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::document::{Kind, Node, Step};
use super::istio::ENUMERATIONS;

/// A value to be read.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'v> {
    value: Node<'v>,
    habits: Habits,
    /// The enumeration's value that is meant by the number that is written.
    meant: Option<&'static str>,
}

/// What may be written in place of what a type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habits {
    /// Nothing.
    Plain,
    /// What protobuf's JSON form allows.
    ProtoJson,
}

/// Why a value is not of the type that was asked for.
#[derive(Debug)]
pub struct Fault {
    /// In the words of serde.
    pub message: String,
    /// To the value at fault from the one that was read.
    pub path: Vec<Step>,
}

impl<'v> Reading<'v> {
    pub fn of(value: Node<'v>, habits: Habits) -> Self {
        Self { value, habits, meant: None }
    }

    fn text(self) -> Option<&'v str> {
        self.meant.or_else(|| self.value.as_str())
    }

    fn scalar<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = self.value;
        match (self.text(), value.as_u64(), value.as_negative(), value.as_float()) {
            (Some(text), ..) => visitor.visit_borrowed_str(text),
            (_, Some(number), ..) => visitor.visit_u64(number),
            (_, _, Some(number), _) => visitor.visit_i64(number),
            (.., Some(number)) => visitor.visit_f64(number),
            _ => match value.kind() {
                Kind::True => visitor.visit_bool(true),
                Kind::False => visitor.visit_bool(false),
                _ => visitor.visit_unit(),
            },
        }
    }
}

impl Fault {
    /// The same, told of the value that this step leads down from.
    #[cold]
    #[inline(never)]
    fn below(mut self, step: Step) -> Self {
        self.path.insert(0, step);
        self
    }
}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), path: Vec::new() }
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        match found {
            Unexpected::Unit => Self::custom(format_args!("invalid type: null, expected {wanted}")),
            found => Self::custom(format_args!("invalid type: {found}, expected {wanted}")),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// Numbers as texts, and whole ones with a point.
macro_rules! whole_numbers {
    ($($method:ident $visit:ident $kind:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let number = match (self.habits, self.text()) {
                (Habits::Plain, _) => None,
                (Habits::ProtoJson, Some(text)) => text.parse::<$kind>().ok(),
                (Habits::ProtoJson, None) => self
                    .value
                    .as_float()
                    .filter(|float| float.fract() == 0.0)
                    .and_then(|float| format!("{float:.0}").parse::<$kind>().ok()),
            };
            match number {
                Some(number) => visitor.$visit(number),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Reading<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value.kind() {
            Kind::List => visitor.visit_seq(Entries::of(self)),
            Kind::Map => visitor.visit_map(Fields::of(self, "", &[])),
            _ => self.scalar(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match (self.value.kind(), self.habits) {
            (Kind::Map, Habits::ProtoJson) => visitor.visit_map(Fields::of(self, name, known)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value.is_null() {
            true => visitor.visit_none(),
            false => visitor.visit_some(self),
        }
    }

    /// Its value is a text; anything else is told as what should have been one.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(String::deserialize(self)?.into_deserializer())
    }

    whole_numbers! {
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.text().filter(|_| self.habits == Habits::ProtoJson);
        match text.and_then(|text| text.parse::<f64>().ok()) {
            Some(number) => visitor.visit_f64(number),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i128 u128 f32 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// The entries of a list.
struct Entries<I> {
    left: I,
    habits: Habits,
    next: usize,
}

impl<'v> Entries<()> {
    fn of(list: Reading<'v>) -> Entries<impl ExactSizeIterator<Item = Node<'v>>> {
        Entries { left: list.value.entries(), habits: list.habits, next: 0 }
    }
}

impl<'de, I: ExactSizeIterator<Item = Node<'de>>> SeqAccess<'de> for Entries<I> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some(entry) = self.left.next() else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        let read = seed.deserialize(Reading::of(entry, self.habits));
        read.map(Some).map_err(|fault| fault.below(Step::Entry(index)))
    }

    /// How many are left, so that a list takes no more memory than it needs.
    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

/// The fields of a mapping; those that a type knows by their names in camelCase.
struct Fields<'v> {
    left: smallvec::IntoIter<[(&'v str, Node<'v>); 8]>,
    habits: Habits,
    shape: &'static str,
    known: &'static [&'static str],
    /// The last key and the value that belongs to it.
    next: Option<(Cow<'v, str>, Reading<'v>)>,
}

impl<'v> Fields<'v> {
    fn of(map: Reading<'v>, shape: &'static str, known: &'static [&'static str]) -> Self {
        let left = map.value.fields().into_iter();
        Self { left, habits: map.habits, shape, known, next: None }
    }

    /// A field's name as the type knows it.
    fn name(&self, key: &'v str) -> Cow<'v, str> {
        let known = |name: &str| self.known.contains(&name);
        if known(key) || !key.contains('_') {
            return Cow::Borrowed(key);
        }
        let camel = Some(camel_case(key)).filter(|camel| known(camel));
        camel.map_or(Cow::Borrowed(key), Cow::Owned)
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((key, value)) = self.left.next() else { return Ok(None) };
        let name = self.name(key);
        let meant = enumerated(self.shape, &name, value);
        let read = seed.deserialize(StrDeserializer::new(&name));
        let read = read.map_err(|fault: Fault| fault.below(Step::Field(name.to_string())))?;
        self.next = Some((name, Reading { value, habits: self.habits, meant }));
        Ok(Some(read))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (name, value) = self.next.take().expect("a key was asked for before its value");
        seed.deserialize(value).map_err(|fault| fault.below(Step::Field(name.into_owned())))
    }
}

/// The name of an enumeration's value that is written as its number.
fn enumerated(shape: &str, field: &str, number: Node<'_>) -> Option<&'static str> {
    let number = usize::try_from(number.as_u64()?).ok()?;
    let of_field = |(at, name, _): &&(&str, &str, _)| *at == shape && *name == field;
    ENUMERATIONS.iter().find(of_field)?.2.get(number).copied()
}

/// `port_level_settings` as `portLevelSettings`.
pub fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut words = name.split('_');
    camel.push_str(words.next().unwrap_or_default());
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::Value;
    use serde_json::json;

    use super::*;
    use crate::config::document;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
    struct Shape {
        connect_timeout: Option<String>,
        max_connections: u32,
        percent: f64,
        weight: Option<i64>,
        match_labels: BTreeMap<String, String>,
        port_level_settings: Vec<Shape>,
        mode: Option<Mode>,
        raw: Option<Value>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Mode {
        FullSpeed,
    }

    fn read(value: &Value) -> Result<Shape, String> {
        let (documents, _) = document::parse("t.json", &value.to_string());
        Shape::deserialize(Reading::of(documents[0].body(), Habits::ProtoJson))
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn fields_may_be_written_in_either_case_and_numbers_as_texts() {
        let written = json!({
            "connect_timeout": "5s", "maxConnections": "7", "percent": "0.5", "weight": 3.0,
            "match_labels": { "my_label": "a" }, "mode": "fullSpeed", "raw": { "not_ours": [1, "2"] },
            "port_level_settings": [{ "max_connections": 1e3 }, { "weight": null }],
        });
        let read = read(&written).expect("all of it is allowed");
        assert_eq!(read.connect_timeout.as_deref(), Some("5s"));
        assert_eq!((read.max_connections, read.percent, read.weight), (7, 0.5, Some(3)));
        assert_eq!(read.match_labels.get("my_label").map(String::as_str), Some("a"));
        assert_eq!(read.mode, Some(Mode::FullSpeed));
        assert_eq!(read.port_level_settings[0].max_connections, 1000);
        assert_eq!(read.port_level_settings[1], Shape::default());
        assert_eq!(read.raw, Some(json!({ "not_ours": [1, "2"] })));
    }

    #[test]
    fn what_is_wrong_is_still_wrong() {
        for (written, told) in [
            (json!({ "max_conections": 1 }), "unknown field `max_conections`"),
            (json!({ "maxConnections": "many" }), "invalid type: string \"many\", expected u32"),
            (json!({ "maxConnections": 1.5 }), "invalid type: floating point `1.5`, expected u32"),
            (json!({ "maxConnections": -1 }), "invalid value: integer `-1`, expected u32"),
            (json!({ "connectTimeout": 5 }), "invalid type: integer `5`, expected a string"),
            (json!({ "matchLabels": [] }), "invalid type: sequence, expected a map"),
            (json!({ "portLevelSettings": [null] }), "invalid type: null, expected struct Shape"),
            (json!({ "mode": [] }), "invalid type: sequence, expected a string"),
            (json!({ "mode": "slow" }), "unknown variant `slow`, expected `fullSpeed`"),
        ] {
            let error = read(&written).expect_err("wrong");
            assert!(error.starts_with(told), "{error}");
        }
    }

    #[test]
    fn a_fault_says_where_it_is_in_the_words_of_the_type() {
        let inner =
            |fault: Value| json!({ "port_level_settings": [{}, { "match_labels": fault }] });
        for (written, path) in [
            (json!(5), vec![]),
            (json!({ "percent": "much" }), vec!["percent"]),
            (json!({ "unknown_name": 1 }), vec!["unknown_name"]),
            (inner(json!(5)), vec!["portLevelSettings", "1", "matchLabels"]),
            (inner(json!({ "a_b": 5 })), vec!["portLevelSettings", "1", "matchLabels", "a_b"]),
        ] {
            let (documents, _) = document::parse("t.json", &json!({ "spec": written }).to_string());
            let value = documents[0].body().get("spec").expect("written");
            let fault =
                Shape::deserialize(Reading::of(value, Habits::ProtoJson)).expect_err("wrong");
            let step = |step: &Step| match step {
                Step::Entry(index) => index.to_string(),
                Step::Field(name) => name.clone(),
            };
            assert_eq!(fault.path.iter().map(step).collect::<Vec<_>>(), path, "{fault}");
        }
    }
}
