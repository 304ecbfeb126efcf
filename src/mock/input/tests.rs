//! The lines do not depend on how bytes are cut into pieces, and the kept text is bounded.

use proptest::prelude::*;

use crate::mock::input::{HEAD_BYTES, LINE_BYTES_MAX, Lines};
use crate::server::Input;

/// Most bytes that may be kept of a line that is not complete: what a buffer that doubles has when the longest line fills it.
const KEPT_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;

/// Bytes as short as a person writes them: so many of one byte.
type Run = (u8, usize);

fn any_runs() -> impl Strategy<Value = Vec<Run>> {
    let byte = prop_oneof![3 => any::<u8>(), 3 => Just(b'\n'), 2 => Just(b'\r'), 1 => Just(b'{')];
    // Around the two bounds a mistake by one would show.
    let length = prop_oneof![
        16 => 1..4_usize,
        4 => HEAD_BYTES - 2..HEAD_BYTES + 3,
        1 => LINE_BYTES_MAX - 2..LINE_BYTES_MAX + 3,
    ];
    prop::collection::vec((byte, length), 0..16)
}

fn bytes_of(runs: &[Run]) -> Vec<u8> {
    // Line ends come one at a time: four million lines are no better a case than one.
    runs.iter()
        .flat_map(|(byte, length)| std::iter::repeat_n(*byte, if *byte == b'\n' { 1 } else { *length }))
        .collect()
}

/// The inputs that come of these pieces.
fn inputs<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Input> {
    let mut lines = Lines::default();
    let mut given = Vec::new();
    for piece in pieces {
        lines.push(piece, |input| given.push(input));
        assert!(lines.line.capacity() <= KEPT_BYTES_MAX, "{} bytes are kept", lines.line.capacity());
    }
    given.extend(lines.finish());
    given
}

/// What the lines of these bytes are, told in the simplest way.
fn expected(bytes: &[u8]) -> Vec<Input> {
    let mut pieces: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let last = pieces.pop().unwrap_or_default();
    let noise =
        |line: &[u8]| Input::Noise { bytes: line.len() as u64, head: line[..line.len().min(HEAD_BYTES)].to_vec() };
    let line = |line: &[u8]| match line {
        long if long.len() > LINE_BYTES_MAX => noise(long),
        line => Input::Line(line.strip_suffix(b"\r").unwrap_or(line).to_vec()),
    };
    let whole = pieces.into_iter().map(line);
    whole.chain((!last.is_empty()).then(|| noise(last))).collect()
}

/// Short enough to be printed: a case that fails may be of megabytes.
fn shown(inputs: &[Input]) -> String {
    let short = |input: &Input| match input {
        Input::Line(line) => format!("line of {} bytes: {:?}", line.len(), &line[..line.len().min(16)]),
        Input::Noise { bytes, head } => format!("noise of {bytes} bytes, {} of them kept", head.len()),
        other => format!("{other:?}"),
    };
    inputs.iter().map(short).collect::<Vec<_>>().join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_chopping_of_any_bytes_gives_the_same_lines(
        runs in any_runs(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        piece_bytes in 1..40_000_usize,
    ) {
        let bytes = bytes_of(&runs);
        let expected = expected(&bytes);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([bytes.len()]).collect();
        ends.sort_unstable();
        let pieces = ends.iter().scan(0, |from, end| Some(&bytes[std::mem::replace(from, *end)..*end]));
        let cut_anywhere = inputs(pieces);
        prop_assert!(cut_anywhere == expected, "cut at {:?}:\n{}\nexpected\n{}", ends, shown(&cut_anywhere), shown(&expected));
        // Single bytes where the case is short.
        let piece_bytes = if bytes.len() < 10_000 { 1 } else { piece_bytes };
        let in_pieces = inputs(bytes.chunks(piece_bytes));
        prop_assert!(in_pieces == expected, "{} each:\n{}\nexpected\n{}", piece_bytes, shown(&in_pieces), shown(&expected));
    }
}

#[test]
fn a_line_that_never_ends_keeps_its_head_alone() {
    let mut lines = Lines::default();
    let block = [b'x'; 1 << 20];
    for _ in 0..256 {
        lines.push(&block, |input| panic!("{input:?}"));
        assert!(lines.line.capacity() <= KEPT_BYTES_MAX);
    }
    assert!(lines.line.capacity() <= 2 * HEAD_BYTES, "{}", lines.line.capacity());
    assert_eq!(lines.finish(), Some(Input::Noise { bytes: 256 << 20, head: vec![b'x'; HEAD_BYTES] }));
}
