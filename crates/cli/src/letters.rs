//! Names of columns. `tests/it` includes this file, so it uses no other module of the command.

/// A, B, … Z, AA, AB, …
pub(crate) fn letters(index: usize) -> String {
    let letter = |index: usize| char::from(b'A' + u8::try_from(index % 26).unwrap_or(0));
    match index / 26 {
        0 => letter(index).to_string(),
        n => format!("{}{}", letters(n - 1), letter(index)),
    }
}

#[cfg(test)]
mod tests {
    use super::letters;

    #[test]
    fn columns_are_named_by_letters_and_none_twice() {
        let names: Vec<_> = [0, 1, 25, 26, 27, 51, 52].into_iter().map(letters).collect();
        assert_eq!(names, ["A", "B", "Z", "AA", "AB", "AZ", "BA"]);
        let all: std::collections::BTreeSet<_> = (0..1000).map(letters).collect();
        assert_eq!(all.len(), 1000);
    }
}
