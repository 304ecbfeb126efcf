//! Tools with answers of their own.

#[cfg(feature = "schemas")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A tool with its own description and answer. Other tools answer with their name and their arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ToolKind {
    /// Its name.
    pub name: String,
    /// Its description, which clients get.
    pub about: String,
    /// The schema of its arguments.
    pub schema: Map<String, Value>,
    /// Its answer.
    pub answer: ToolAnswer,
}

/// The answer of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ToolAnswer {
    /// This text.
    Text(String),
    /// The sum of the arguments with these names.
    Sum(Vec<String>),
}

impl ToolAnswer {
    /// The text for these arguments, or a message about their defect.
    pub(crate) fn text(&self, arguments: &Value) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Sum(names) => sum(names, arguments),
        }
    }
}

fn sum(names: &[String], arguments: &Value) -> Result<String, String> {
    let values = names.iter().map(|name| arguments.get(name).filter(|value| value.is_number()));
    let Some(values) = values.collect::<Option<Vec<_>>>() else {
        return Err(format!("{} must be numbers", names.join(" and ")));
    };
    let whole = values.iter().try_fold(0_i64, |sum, value| sum.checked_add(value.as_i64()?));
    Ok(match whole {
        Some(whole) => whole.to_string(),
        None => values.iter().filter_map(|value| value.as_f64()).sum::<f64>().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sum_is_whole_where_its_parts_are() {
        let names = ["a", "b"].map(str::to_owned);
        let of = |arguments: Value| sum(&names, &arguments);
        assert_eq!(of(json!({ "a": 5, "b": 3 })), Ok("8".to_owned()));
        assert_eq!(of(json!({ "a": 0.5, "b": 1 })), Ok("1.5".to_owned()));
        assert_eq!(of(json!({ "a": i64::MAX, "b": 1 })), Ok("9223372036854776000".to_owned()));
        for bad in [json!({ "a": 1 }), json!({ "a": 1, "b": "2" }), Value::Null] {
            assert!(of(bad).is_err());
        }
    }
}
