//! Scripts in the file of a scenario: the table `script`, with a script in each of its tables.

use std::collections::BTreeMap;

use toml::{Spanned, Table, Value};

use crate::plan::input::check_name;
use crate::plan::{InputError, ServerSpec};

/// A script that belongs to one scenario, as its file has it. The module `script` reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnScript {
    /// The name that servers of the scenario use.
    pub name: String,
    /// The content of a script file, in TOML.
    pub text: String,
    /// Line of its table in the file of the scenario, from 1; 0 for a generated script.
    pub line: usize,
}

impl OwnScript {
    /// Its table in the file of a scenario.
    ///
    /// # Panics
    /// When `text` is not TOML.
    pub(super) fn to_toml(&self) -> String {
        let table: Table = self.text.parse().expect("a script is TOML");
        let name = key(&self.name);
        let (tables, plain): (Vec<_>, Vec<_>) = table.iter().partition(|(_, value)| is_array_of_tables(value));
        let mut text = format!("[script.{name}]\n");
        plain.iter().for_each(|(key, value)| text.push_str(&format!("{key} = {value}\n")));
        for (array, values) in tables {
            for one in values.as_array().into_iter().flatten() {
                text.push_str(&format!("[[script.{name}.{array}]]\n"));
                let fields = one.as_table().into_iter().flatten();
                fields.for_each(|(key, value)| text.push_str(&format!("{key} = {value}\n")));
            }
        }
        text
    }
}

fn is_array_of_tables(value: &Value) -> bool {
    value.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(Value::is_table))
}

/// A name as a key of TOML.
fn key(name: &str) -> String {
    let is_bare = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if is_bare { name.to_owned() } else { Value::from(name).to_string() }
}

/// Takes the scripts of a scenario file. A script that no server has is refused, because it would do nothing.
pub(super) fn read_own_scripts(
    file: &str,
    text: &str,
    found: BTreeMap<String, Spanned<Table>>,
    servers: &[ServerSpec],
) -> Result<Vec<OwnScript>, InputError> {
    let read = |(name, table): (String, Spanned<Table>)| {
        let start = table.span().start;
        let error = |message: String| InputError::at(file, text, start, message);
        check_name("script", &name).map_err(|flaw| error(flaw.to_string()))?;
        if !servers.iter().any(|server| server.script == name) {
            return Err(error(format!("found script {name:?}, expected one that a server of the scenario has")));
        }
        let line = error(String::new()).line;
        Ok(OwnScript { name, text: table.into_inner().to_string(), line })
    };
    found.into_iter().map(read).collect()
}
