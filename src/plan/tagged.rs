//! Steps as both step languages write them: a table in which `do` names the step and the other keys are its fields.
//!
//! serde's internally tagged enums accept this shape too, but they lose the position of every key. Here the table becomes
//! `{ NAME = FIELDS }` instead, which serde reads as an enum and which keeps each key's position.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, ValueDeserializer};

use crate::plan::InputError;
use crate::plan::suggest::with_suggestion;

/// Most steps in a file.
const STEPS_MAX: usize = 1_000;
/// The key that names a step.
const TAG: &str = "do";

/// A defect of a step, at a byte offset of its file.
#[derive(Debug)]
pub(super) struct StepFlaw {
    offset: usize,
    message: String,
}

impl StepFlaw {
    pub(super) fn new(offset: usize, message: impl fmt::Display) -> Self {
        Self { offset, message: message.to_string() }
    }

    /// The defect with its line and column in the file that it was found in.
    pub(super) fn in_file(self, file: &str, text: &str) -> InputError {
        InputError::at(file, text, self.offset, self.message)
    }
}

/// Removes the array `step` from a parsed file: what is left is the head of the file.
pub(super) fn take_steps<'t>(file: &mut DeTable<'t>) -> Result<Vec<StepTable<'t>>, StepFlaw> {
    let Some(found) = file.remove("step") else { return Ok(Vec::new()) };
    let offset = found.span().start;
    match found.into_inner() {
        DeValue::Array(steps) => match steps.get(STEPS_MAX) {
            None => steps.into_iter().map(StepTable::new).collect(),
            Some(step) => {
                let message = format!("found {} steps, expected at most {STEPS_MAX}", steps.len());
                Err(StepFlaw::new(step.span().start, message))
            }
        },
        _ => Err(StepFlaw::new(offset, "found `step` that is not an array of tables, expected [[step]]")),
    }
}

/// One step: its name, and its fields by key.
pub(super) struct StepTable<'t> {
    /// Byte offset of the step in its file.
    pub offset: usize,
    name: Spanned<DeString<'t>>,
    fields: DeTable<'t>,
}

impl<'t> StepTable<'t> {
    fn new(step: Spanned<DeValue<'t>>) -> Result<Self, StepFlaw> {
        let offset = step.span().start;
        let DeValue::Table(mut fields) = step.into_inner() else {
            return Err(StepFlaw::new(offset, "found a step that is not a table, expected one with `do`"));
        };
        let name = fields.remove(TAG).ok_or_else(|| StepFlaw::new(offset, "missing field `do`"))?;
        let span = name.span();
        match name.into_inner() {
            DeValue::String(name) => Ok(Self { offset, name: Spanned::new(span, name), fields }),
            _ => Err(StepFlaw::new(span.start, "found `do` that is not a string, expected the name of a step")),
        }
    }

    /// Removes a field that steps of every name may have.
    pub(super) fn take<T: Deserialize<'t>>(&mut self, key: &str) -> Result<Option<Spanned<T>>, StepFlaw> {
        let Some(found) = self.fields.remove(key) else { return Ok(None) };
        let span = found.span();
        let read = T::deserialize(ValueDeserializer::from(found));
        read.map(|value| Some(Spanned::new(span, value))).map_err(|error| flaw(self.offset, &self.name, &error))
    }

    /// Reads the step as the enum that has a variant for each name, with the fields that are left.
    pub(super) fn read<T: Deserialize<'t>>(self) -> Result<T, StepFlaw> {
        let Self { offset, name, fields } = self;
        let mut tagged = DeTable::new();
        tagged.insert(name.clone(), Spanned::new(offset..offset, DeValue::Table(fields)));
        let tagged = ValueDeserializer::from(Spanned::new(offset..offset, DeValue::Table(tagged)));
        tagged.deserialize_map(Tagged(PhantomData)).map_err(|error| flaw(offset, &name, &error))
    }
}

/// An error of serde about a step, at the key or value that it concerns.
fn flaw(step: usize, name: &Spanned<DeString<'_>>, error: &toml::de::Error) -> StepFlaw {
    let message = with_suggestion(&error.message().trim_end().replace('\n', ", "));
    let offset = error.span().map_or(step, |span| span.start);
    if offset == name.span().start {
        return StepFlaw { offset, message };
    }
    StepFlaw { offset, message: format!("in step `{}`: {message}", name.get_ref()) }
}

/// Reads `{ NAME = FIELDS }` as an enum. An unknown field keeps serde's message, which names the known ones.
struct Tagged<T>(PhantomData<T>);

impl<'t, T: Deserialize<'t>> Visitor<'t> for Tagged<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a step")
    }

    fn visit_map<A: MapAccess<'t>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// The table that [`StepTable::read`] reads as the same step.
///
/// # Panics
/// When the step is not an enum whose variants have named fields: every step is one.
pub(super) fn to_table(step: &impl Serialize) -> toml::Table {
    let tagged = toml::Value::try_from(step).expect("a step is a table of plain values");
    let mut table = toml::Table::new();
    for (name, fields) in tagged.as_table().cloned().expect("a step is an enum whose variants have named fields") {
        table.insert(TAG.to_owned(), name.into());
        table.extend(fields.as_table().cloned().expect("the fields of a step have names"));
    }
    table
}
