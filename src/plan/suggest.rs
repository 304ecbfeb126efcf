//! "Did you mean": the known name that is nearest to a name that does not exist.
//!
//! Every message about an unknown name ends with [`did_you_mean`], so that a user sees the correct name at once.

/// Longest name that is compared, in bytes. The cost of a comparison grows with the square of it.
const NAME_BYTES_MAX: usize = 100;

/// The end of a message about an unknown name: `; did you mean "reference"?`, or nothing when no known name is near.
///
/// Near means: at most a third of the letters differ, or one of a name of two letters. Two neighbours that changed places
/// count as one. The first words of a name are near to it too, if no other known name begins with them.
#[must_use]
pub fn did_you_mean<N: AsRef<str>>(found: &str, known: impl IntoIterator<Item = N>) -> String {
    let n_letters = found.chars().count();
    let bound = if n_letters < 2 { 0 } else { (n_letters / 3).max(1) };
    let known: Vec<N> = known.into_iter().collect();
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    let name = nearest(found, known.iter().copied(), bound.min(1))
        .or_else(|| begun(found, &known))
        .or_else(|| nearest(found, known.iter().copied(), bound));
    name.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

/// The only known name that begins with these words and has more.
fn begun<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    let has_more = |name: &&str| name.strip_prefix(found).is_some_and(|rest| rest.starts_with('-'));
    let mut names = known.iter().copied().filter(has_more);
    let first = names.next()?;
    names.all(|other| other == first).then_some(first)
}

/// The known name that differs in the fewest letters, if at most `edits_max` differ. The first of several wins.
#[must_use]
pub fn nearest<N: AsRef<str>>(found: &str, known: impl IntoIterator<Item = N>, edits_max: usize) -> Option<N> {
    if found.len() > NAME_BYTES_MAX {
        return None;
    }
    let edits = |name: N| (strsim::osa_distance(found, name.as_ref()), name);
    let near = known.into_iter().map(edits).filter(|(n_edits, _)| (1..=edits_max).contains(n_edits));
    near.min_by_key(|(n_edits, _)| *n_edits).map(|(_, name)| name)
}

/// A message of serde, with a suggestion where it is about an unknown name and lists the known ones.
///
/// serde writes ``unknown field `colour`, expected `color` or `size` ``; its YAML reader leaves the later backquotes out, and
/// shows the place in the file on further lines.
#[must_use]
pub(in crate::plan) fn with_suggestion(message: &str) -> String {
    let message = message.trim_end();
    let (line, rest) = message.split_at(message.find('\n').unwrap_or(message.len()));
    let suggestion = unknown_name(line).map(|(found, known)| did_you_mean(found, known)).unwrap_or_default();
    format!("{line}{suggestion}{rest}")
}

/// The unknown name that a line of serde is about, and the known ones.
fn unknown_name(line: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    let starts = ["unknown field `", "unknown variant `"];
    let start = starts.iter().find_map(|start| line.find(start).map(|at| at + start.len()))?;
    let (found, known) = line[start..].split_once('`')?;
    let known = known.strip_prefix(", expected ")?.trim_start_matches("one of ");
    Some((found, known.split([',', '`', ' ']).filter(|name| !name.is_empty() && *name != "or")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_none_that_is_far() {
        let known = ["load-call-close", "load-call", "reload-remove", "stdio", "http", "sse", "htt", "y"];
        for (found, expected) in [
            ("lod-call-close", "; did you mean \"load-call-close\"?"),
            ("load-clal", "; did you mean \"load-call\"?"),
            ("Http", "; did you mean \"http\"?"),
            ("see", "; did you mean \"sse\"?"),
            ("sdio", "; did you mean \"stdio\"?"),
            ("reload", "; did you mean \"reload-remove\"?"),
            ("load", ""),
            ("no-such-scenario", ""),
            ("", ""),
            ("x", ""),
            ("ht", "; did you mean \"htt\"?"),
        ] {
            assert_eq!(did_you_mean(found, known), expected, "{found}");
        }
        assert_eq!(did_you_mean(&"sse".repeat(100), ["sse".repeat(100) + "x"]), "", "too long to be a name");
    }

    #[test]
    fn a_message_of_serde_gets_a_suggestion_where_it_is_about_a_name() {
        for (message, expected) in [
            ("unknown field `colour`, expected one of `about`, `color`", "; did you mean \"color\"?"),
            ("in [promises]: unknown field `sesion`, expected `session` or `x`", "; did you mean \"session\"?"),
            ("unknown variant `sdtio`, expected `stdio`", "; did you mean \"stdio\"?"),
            ("line 1: unknown field `cleint`, expected one of client, server", "; did you mean \"client\"?"),
            ("unknown field `x`, there are no fields", ""),
            ("missing field `lane`", ""),
            ("invalid type: integer `3`, expected `4`", ""),
        ] {
            assert_eq!(with_suggestion(message), format!("{message}{expected}"));
            assert_eq!(with_suggestion(&format!("{message}\n --> x\n")), format!("{message}{expected}\n --> x"));
        }
    }
}
