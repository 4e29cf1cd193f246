//! How a shell divides a line into words.

/// The words of a line, as bash divides them: blanks, quotes, `$'…'`.
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let (end, ansi) = match letter {
            ' ' => {
                words.extend(word.take());
                continue;
            }
            '$' if letters.peek() == Some(&'\'') => (letters.next(), true),
            '\'' | '"' => (Some(letter), false),
            _ => (None, false),
        };
        let word = word.get_or_insert_default();
        let Some(end) = end else {
            word.push(letter);
            continue;
        };
        while let Some(inside) = letters.next().filter(|inside| *inside != end) {
            match inside {
                '\\' if ansi => match letters.next() {
                    Some('n') => word.push('\n'),
                    Some('t') => word.push('\t'),
                    Some('r') => word.push('\r'),
                    other => word.extend(other),
                },
                '\\' if end == '"' => word.extend(letters.next()),
                _ => word.push(inside),
            }
        }
    }
    words.extend(word);
    words
}
