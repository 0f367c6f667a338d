//! Values to and from PostgreSQL's types.

use tokio_postgres::types::{ToSql, Type};

use crate::store::{Row, Value};

type Parameter = Box<dyn ToSql + Sync + Send>;

/// Each value as the type that the statement has at its place; one of another kind is refused by the driver.
pub(super) fn parameters(values: &[Value], types: &[Type]) -> Vec<Parameter> {
    let of = |(number, value): (usize, &Value)| parameter(value, types.get(number).unwrap_or(&Type::TEXT));
    values.iter().enumerate().map(of).collect()
}

fn parameter(value: &Value, kind: &Type) -> Parameter {
    match value {
        Value::Null => nothing(kind),
        Value::Int(number) => integer(*number, kind),
        Value::Text(text) => Box::new(text.clone()),
        Value::Blob(bytes) => Box::new(bytes.clone()),
    }
}

fn nothing(kind: &Type) -> Parameter {
    match *kind {
        Type::INT2 => Box::new(None::<i16>),
        Type::INT4 => Box::new(None::<i32>),
        Type::INT8 => Box::new(None::<i64>),
        Type::BYTEA => Box::new(None::<Vec<u8>>),
        _ => Box::new(None::<String>),
    }
}

/// An expression without a column gets a narrower type from the server; a number that does not fit stays wide, and the
/// driver says that it is of the wrong type.
fn integer(number: i64, kind: &Type) -> Parameter {
    match *kind {
        Type::INT2 if let Ok(number) = i16::try_from(number) => Box::new(number),
        Type::INT4 if let Ok(number) = i32::try_from(number) => Box::new(number),
        _ => Box::new(number),
    }
}

pub(super) fn row(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    (0..row.len()).map(|column| value(row, column)).collect::<Result<_, _>>().map(Row)
}

fn value(row: &tokio_postgres::Row, column: usize) -> Result<Value, tokio_postgres::Error> {
    Ok(match *row.columns()[column].type_() {
        Type::BOOL => row.try_get::<_, Option<bool>>(column)?.into(),
        Type::INT2 => row.try_get::<_, Option<i16>>(column)?.map(i64::from).into(),
        Type::INT4 => row.try_get::<_, Option<i32>>(column)?.map(i64::from).into(),
        Type::INT8 => row.try_get::<_, Option<i64>>(column)?.into(),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(column)?.into(),
        // What is not a text either is refused by the driver.
        _ => row.try_get::<_, Option<String>>(column)?.into(),
    })
}
