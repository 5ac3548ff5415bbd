//! Values read with the habits of protobuf's JSON form, in which Istio's objects are defined.
//!
//! A field may be written in snake_case, a number as a text, a whole number with a point, and null is
//! the same as absent; an enumeration's value may be its number. What is wrong all the same is told in the words of serde_json.
//! Source: the ProtoJSON format (protobuf.dev), `jsonpb` as istiod uses it.

use std::borrow::Cow;

use serde::de::value::{BorrowedStrDeserializer, CowStrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Error;

use super::document::{Kind, Node};
use super::istio::ENUMERATIONS;
use super::plain::{Plain, visit_scalar};

/// A value to be read so.
#[derive(Debug, Clone, Copy)]
pub struct ProtoJson<'v>(pub Node<'v>);

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

/// Numbers as texts, and whole ones with a point.
macro_rules! whole_numbers {
    ($($method:ident $visit:ident $kind:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let number = match self.0.as_str() {
                Some(text) => text.parse::<$kind>().ok(),
                None => self
                    .0
                    .as_float()
                    .filter(|float| float.fract() == 0.0)
                    .and_then(|float| format!("{float:.0}").parse::<$kind>().ok()),
            };
            match number {
                Some(number) => visitor.$visit(number),
                None => Plain(self.0).$method(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for ProtoJson<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.kind() {
            Kind::List => visitor.visit_seq(Entries(self.0.entries())),
            Kind::Map => visitor.visit_map(Fields::of(self.0, "", &[])),
            _ => visit_scalar(self.0, visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0.kind() {
            Kind::Map => visitor.visit_map(Fields::of(self.0, name, known)),
            _ => Plain(self.0).deserialize_struct(name, known, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.is_null() {
            true => visitor.visit_none(),
            false => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        Plain(self.0).deserialize_enum(name, variants, visitor)
    }

    whole_numbers! {
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.as_str().and_then(|text| text.parse::<f64>().ok()) {
            Some(number) => visitor.visit_f64(number),
            None => Plain(self.0).deserialize_f64(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i128 u128 f32 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

struct Entries<I>(I);

impl<'de, I: ExactSizeIterator<Item = Node<'de>>> SeqAccess<'de> for Entries<I> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.0.next().map(|entry| seed.deserialize(ProtoJson(entry))).transpose()
    }

    /// How many are left, so that a list takes no more memory than it needs.
    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// The fields of a mapping; those that a type knows by their names in camelCase.
struct Fields<'v> {
    left: smallvec::IntoIter<[(&'v str, Node<'v>); 8]>,
    shape: &'static str,
    known: &'static [&'static str],
    next: Option<Next<'v>>,
}

impl<'v> Fields<'v> {
    fn of(map: Node<'v>, shape: &'static str, known: &'static [&'static str]) -> Self {
        Self { left: map.fields().into_iter(), shape, known, next: None }
    }
}

/// The value that belongs to the last key.
enum Next<'v> {
    Written(Node<'v>),
    /// A number that stands for this.
    Enumerated(&'static str),
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.left.next() else { return Ok(None) };
        let known = |name: &str| self.known.contains(&name);
        let camel = || Some(camel_case(key)).filter(|camel| known(camel));
        let name = match (known(key) || !key.contains('_')).then_some(key) {
            Some(key) => Cow::Borrowed(key),
            None => camel().map_or(Cow::Borrowed(key), Cow::Owned),
        };
        self.next = Some(match enumerated(self.shape, &name, value) {
            Some(meant) => Next::Enumerated(meant),
            None => Next::Written(value),
        });
        seed.deserialize(CowStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        match self.next.take().expect("a key was asked for before its value") {
            Next::Enumerated(meant) => seed.deserialize(Meant(meant)),
            Next::Written(value) => seed.deserialize(ProtoJson(value)),
        }
    }
}

/// An enumeration's value, written as a number: a text, or a variant, that may be absent.
struct Meant(&'static str);

impl<'de> Deserializer<'de> for Meant {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(BorrowedStrDeserializer::<Error>::new(self.0))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
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
        raw: Option<Value>,
    }

    fn read(value: &Value) -> Result<Shape, String> {
        let (documents, _) = document::parse("t.json", &value.to_string());
        Shape::deserialize(ProtoJson(documents[0].body())).map_err(|error| error.to_string())
    }

    #[test]
    fn fields_may_be_written_in_either_case_and_numbers_as_texts() {
        let written = json!({
            "connect_timeout": "5s", "maxConnections": "7", "percent": "0.5", "weight": 3.0,
            "match_labels": { "my_label": "a" }, "raw": { "not_ours": [1, "2"] },
            "port_level_settings": [{ "max_connections": 1e3 }, { "weight": null }],
        });
        let read = read(&written).expect("all of it is allowed");
        assert_eq!(read.connect_timeout.as_deref(), Some("5s"));
        assert_eq!((read.max_connections, read.percent, read.weight), (7, 0.5, Some(3)));
        assert_eq!(read.match_labels.get("my_label").map(String::as_str), Some("a"));
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
        ] {
            let error = read(&written).expect_err("wrong");
            assert!(error.starts_with(told), "{error}");
        }
    }
}
