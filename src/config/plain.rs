//! Values read as they are: what serde_json does for its own values, done for those of a document.
//!
//! Errors are those of serde_json, in its words.

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Error;

use super::document::{Kind, Node};

/// A value to be read so.
#[derive(Debug, Clone, Copy)]
pub struct Plain<'v>(pub Node<'v>);

impl<'de> Deserializer<'de> for Plain<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let node = self.0;
        match node.kind() {
            Kind::List => {
                let mut entries = SeqDeserializer::new(node.entries().map(Plain));
                let read = visitor.visit_seq(&mut entries)?;
                entries.end().map(|()| read)
            }
            Kind::Map => {
                let fields = node.fields().into_iter();
                let mut fields =
                    MapDeserializer::new(fields.map(|(name, value)| (name, Plain(value))));
                let read = visitor.visit_map(&mut fields)?;
                fields.end().map(|()| read)
            }
            _ => visit_scalar(node, visitor),
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
        match self.0.as_str() {
            Some(text) => visitor.visit_enum(BorrowedStrDeserializer::<Error>::new(text)),
            None => self.0.to_value().deserialize_enum(name, variants, visitor),
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
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Plain<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Shows a value that is no collection.
pub fn visit_scalar<'de, V: Visitor<'de>>(node: Node<'de>, visitor: V) -> Result<V::Value, Error> {
    match (node.as_str(), node.as_u64(), node.as_negative(), node.as_float()) {
        (Some(text), ..) => visitor.visit_borrowed_str(text),
        (_, Some(number), ..) => visitor.visit_u64(number),
        (_, _, Some(number), _) => visitor.visit_i64(number),
        (.., Some(number)) => visitor.visit_f64(number),
        _ => match node.kind() {
            Kind::True => visitor.visit_bool(true),
            Kind::False => visitor.visit_bool(false),
            _ => visitor.visit_unit(),
        },
    }
}
