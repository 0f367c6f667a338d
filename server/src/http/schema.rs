//! What descriptions of types share.

use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

/// A text that is one of a few.
pub(crate) fn choice(description: &str, values: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    let object = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values));
    object.description(Some(description)).into()
}
