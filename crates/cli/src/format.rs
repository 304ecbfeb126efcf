//! `--format`: the formats of the table that a command offers.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use mcp_lifecheck::report::{Detail, Format, JSON, formats, verdict_formats};

/// Parses a format of `run`, which keeps no more than a row for each plan.
pub(crate) fn run_format() -> impl TypedValueParser<Value = &'static Format> {
    parser(formats(Detail::Plans))
}

/// Parses a format of `host`, which keeps every check.
pub(crate) fn host_format() -> impl TypedValueParser<Value = &'static Format> {
    parser(formats(Detail::Checks))
}

/// Parses a format of `check`.
pub(crate) fn check_format() -> impl TypedValueParser<Value = &'static Format> {
    parser(verdict_formats())
}

/// The requested formats and `json`, which is always written.
pub(crate) fn with_json(requested: &[&'static Format]) -> impl Iterator<Item = &'static Format> {
    std::iter::once(&JSON).chain(requested.iter().copied().filter(|format| format.name != JSON.name))
}

fn parser(offered: impl Iterator<Item = &'static Format>) -> impl TypedValueParser<Value = &'static Format> {
    let offered: Vec<&'static Format> = offered.collect();
    let names: Vec<&'static str> = offered.iter().map(|format| format.name).collect();
    PossibleValuesParser::new(names).map(move |name: String| {
        let format = offered.iter().copied().find(|format| format.name == name);
        format.expect("the parser accepts the names of offered formats only")
    })
}
