//! Errors as a user sees them.

use std::path::Path;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use mcp_lifecheck::plan::{InputError, read_text};
use mcp_lifecheck::run::RunError;

use crate::print::complain;

/// Prints an error; one with a position points into its file.
pub(crate) fn print_error(error: &RunError) {
    let pointed = error.input().and_then(point_into).map(|pointed| format!("\n{}", pointed.trim_end()));
    complain(format_args!("{error}{}", pointed.unwrap_or_default()));
}

/// The place in the file, as a person sees it; nothing where the file is not at hand.
fn point_into(error: &InputError) -> Option<String> {
    let text = read_text(Path::new(&error.file)).ok()?;
    let line_start: usize = text.split_inclusive('\n').take(error.line.checked_sub(1)?).map(str::len).sum();
    let line = text.get(line_start..)?.lines().next()?;
    let columns = line.char_indices().map(|(offset, _)| offset).chain([line.len()]);
    let start = line_start + columns.clone().nth(error.column.saturating_sub(1)).unwrap_or(line.len());
    let end = line_start + columns.clone().nth(error.column.max(1)).unwrap_or(line.len());
    let place = AnnotationKind::Primary.span(start..end.max(start));
    let snippet = Snippet::source(&text).path(&error.file).annotation(place);
    let report = [Level::NOTE.primary_title("found here").element(snippet)];
    Some(format!("{}\n", Renderer::plain().render(&report)))
}
