//! Scripts in the file of a scenario: the table `script`, with a script in each of its tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use crate::plan::input::check_name;
use crate::plan::{InputError, ServerSpec};

/// The table with the scripts, in the file of a scenario.
const TABLE: &str = "script";

/// A script that belongs to one scenario, as its file has it. The module `script` reads it.
#[derive(Debug, Clone)]
pub struct OwnScript {
    name: String,
    table: Table,
    /// The file of the scenario: what tells where a part of the table is.
    file_text: Arc<str>,
}

/// Two scripts are equal if they say the same, wherever it is in their files.
impl PartialEq for OwnScript {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.table == other.table
    }
}

impl OwnScript {
    /// A script that no file has. The table is the content of a script file.
    #[must_use]
    pub fn new(name: &str, table: Table) -> Self {
        let file_text = written(name, &table).into();
        Self { name: name.to_owned(), table, file_text }
    }

    /// The name that servers of the scenario use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The content of a script file.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The text of the file that has the script, and the table of the script with the offset of each part in that text.
    ///
    /// # Panics
    /// Never: the table was read from the same text.
    #[must_use]
    pub fn located(&self) -> (&str, Spanned<DeTable<'_>>) {
        let file = DeTable::parse(&self.file_text).expect("the file was read before");
        let table = inner(file, TABLE).and_then(|scripts| inner(scripts, &self.name));
        (&self.file_text, table.expect("the file has the script"))
    }

    /// Its table in the file of a scenario.
    pub(super) fn to_toml(&self) -> String {
        written(&self.name, &self.table)
    }
}

/// The table under a key of another one.
fn inner<'t>(table: Spanned<DeTable<'t>>, key: &str) -> Option<Spanned<DeTable<'t>>> {
    let found = table.into_inner().remove(key)?;
    let span = found.span();
    let DeValue::Table(table) = found.into_inner() else { return None };
    Some(Spanned::new(span, table))
}

/// A script as a table in the file of a scenario.
fn written(name: &str, table: &Table) -> String {
    let name = key(name);
    let put = |text: &mut String, name: &str, value: &Value| text.push_str(&format!("{} = {value}\n", key(name)));
    let (tables, plain): (Vec<_>, Vec<_>) = table.iter().partition(|(_, value)| is_array_of_tables(value));
    let mut text = format!("[{TABLE}.{name}]\n");
    plain.iter().for_each(|(name, value)| put(&mut text, name, value));
    for (array, values) in tables {
        for one in values.as_array().into_iter().flatten() {
            text.push_str(&format!("[[{TABLE}.{name}.{}]]\n", key(array)));
            let fields = one.as_table().into_iter().flatten();
            fields.for_each(|(name, value)| put(&mut text, name, value));
        }
    }
    text
}

fn is_array_of_tables(value: &Value) -> bool {
    value.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(Value::is_table))
}

/// A name as a key of TOML.
fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if is_bare { name.to_owned() } else { Value::from(name).to_string() }
}

/// Takes the scripts of a scenario file. A script that no server has is refused, because it would do nothing.
pub(super) fn read_own_scripts(
    file: &str,
    text: &str,
    found: BTreeMap<String, Spanned<Table>>,
    servers: &[ServerSpec],
) -> Result<Vec<OwnScript>, InputError> {
    let file_text: Arc<str> = if found.is_empty() { Arc::default() } else { text.into() };
    let read = |(name, table): (String, Spanned<Table>)| {
        let start = table.span().start;
        let error = |message: String| InputError::at(file, text, start, message);
        check_name("script", &name).map_err(|flaw| error(flaw.to_string()))?;
        if !servers.iter().any(|server| server.script == name) {
            return Err(error(format!("found script {name:?}, expected one that a server of the scenario has")));
        }
        Ok(OwnScript { name, table: table.into_inner(), file_text: Arc::clone(&file_text) })
    };
    found.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Scenario;

    const HEAD: &str = "about = \"x\"\nservers = [{ name = \"files\", script = \"own\" }]\n";
    const STEP: &str = "[[step]]\ndo = \"load\"\n";

    fn read(scripts: &str) -> Result<Scenario, String> {
        let text = format!("{HEAD}{scripts}{STEP}");
        Scenario::from_toml("x", "x.toml", &text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_script_that_no_server_could_have_is_refused_where_it_begins() {
        for (scripts, expected) in [
            (
                "[script.own]\nabout = \"x\"\n[script.spare]\nabout = \"y\"\n",
                "x.toml:5:1: found script \"spare\", expected one that a server of the scenario has",
            ),
            (
                "[script.\"../own\"]\nabout = \"x\"\n",
                "x.toml:3:1: found script name \"../own\", expected letters of ASCII",
            ),
            ("[script]\nown = 3\n", "x.toml:4:7: invalid type: integer `3`, expected a map"),
            ("script = []\n", "x.toml:3:10: invalid type: sequence, expected a map"),
            ("[scripts.own]\n", "x.toml:3:2: unknown field `scripts`"),
        ] {
            let found = read(scripts).unwrap_err();
            assert!(found.starts_with(expected), "{scripts}: {found}");
        }
    }

    #[test]
    fn a_script_is_the_same_however_its_file_writes_it_and_wherever() {
        let one = "[script.own]\nabout = \"x\"\n[[script.own.rule]]\non = { start = true }\ndo = [{ exit = 3 }]\n";
        let scripts = |text: &str| read(text).unwrap().scripts;
        for same in [
            "script.own = { about = \"x\", rule = [{ on = { start = true }, do = [{ exit = 3 }] }] }\n",
            "\n# A comment.\n[script]\nown.about = \"x\"\nown.rule = [{ on.start = true, do = [{ exit = 3 }] }]\n",
        ] {
            assert_eq!(scripts(same), scripts(one), "{same}");
            let found = scripts(same);
            let (text, table) = found[0].located();
            assert_eq!(text, format!("{HEAD}{same}{STEP}"));
            assert!(table.get_ref().contains_key("rule"), "{table:?}");
        }
        assert_ne!(scripts(one), scripts(&one.replace('3', "4")));
        assert_eq!(scripts(one), [OwnScript::new("own", scripts(one)[0].table().clone())]);
    }

    #[test]
    fn a_script_that_no_file_has_is_read_from_what_is_written_of_it() {
        let table = "about = 'a \"b\"'\n\"a b\" = [1]\nc = {}\n[[\"d e\"]]\n\"f g\" = { h = [{}] }";
        let table: Table = table.parse().unwrap();
        for name in ["own", "a.b", ""] {
            let script = OwnScript::new(name, table.clone());
            let (text, located) = script.located();
            let read: Table = text.parse().unwrap();
            assert_eq!(read[TABLE][name].as_table(), Some(&table), "{text}");
            assert_eq!(located.get_ref().len(), table.len());
        }
    }
}
