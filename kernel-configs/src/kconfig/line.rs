//! Lines of Kconfig files: continued ones joined, comments taken away, help texts left out.

/// A logical line and the number of its first physical one, from 1.
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) text: String,
}

/// The logical lines of a file.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let mut found = Vec::new();
    let mut physical = text.lines().enumerate().peekable();
    while let Some((number, first)) = physical.next() {
        let mut joined = uncommented(first).to_owned();
        while joined.ends_with('\\') {
            joined.pop();
            let Some((_, next)) = physical.next() else { break };
            joined.push_str(uncommented(next));
        }
        let text = joined.trim();
        if text == "help" || text == "---help---" {
            // The first line of the text says how far it is indented; a blank line belongs to it.
            let mut indent = None;
            while let Some((_, line)) = physical.peek() {
                let own = indentation(line);
                let blank = line.trim().is_empty();
                if !blank && own < *indent.get_or_insert(own.max(1)) {
                    break;
                }
                physical.next();
            }
        } else if !text.is_empty() {
            found.push(Line { number: number + 1, text: text.to_owned() });
        }
    }
    found
}

/// Columns before the first letter; a tab goes to the next multiple of eight.
fn indentation(line: &str) -> usize {
    line.chars()
        .take_while(|char| char.is_whitespace())
        .fold(0, |column, char| if char == '\t' { (column / 8 + 1) * 8 } else { column + 1 })
}

fn uncommented(line: &str) -> &str {
    let mut quote = None;
    for (index, char) in line.char_indices() {
        match (quote, char) {
            (None, '#') => return &line[..index],
            (None, '"' | '\'') => quote = Some(char),
            (Some(open), char) if open == char => quote = None,
            _ => {}
        }
    }
    line.trim_end()
}

/// Bytes of the macro that a text begins with, `$(…)` or `$NAME`; `None` when it does not end.
pub(super) fn macro_length(text: &str) -> Option<usize> {
    if !text.starts_with("$(") {
        let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
        return text[1..].find(|char| !is_name(char)).map_or(Some(text.len()), |end| Some(end + 1));
    }
    let mut depth = 0usize;
    for (index, char) in text.char_indices() {
        match char {
            '(' => depth += 1,
            ')' if depth == 1 => return Some(index + 1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// The first word, and what follows it.
pub(super) fn word(text: &str) -> (&str, &str) {
    let end = text.find(|char: char| char.is_whitespace() || char == '"').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// A text in quotes at the beginning, and what follows it.
pub(super) fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|char| ['"', '\''].contains(char))?;
    let end = text[1..].find(quote)? + 1;
    Some((&text[1..end], text[end + 1..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_and_comments_are_left_out() {
        let text = "config A # why\n\tbool \"a # b\"\n\thelp\n\t  Text.\n\n\t  config NOT\n\tdepends on B && \\\n\t\tC\nconfig D\n\thelp\n\nconfig E\n";
        let found: Vec<(usize, String)> =
            lines(text).into_iter().map(|line| (line.number, line.text)).collect();
        let expected = [
            (1, "config A"),
            (2, "bool \"a # b\""),
            (7, "depends on B && \t\tC"),
            (9, "config D"),
            (12, "config E"),
        ];
        assert_eq!(found, expected.map(|(number, text)| (number, text.to_owned())));
    }

    #[test]
    fn macros_end_at_their_own_parenthesis() {
        assert_eq!(macro_length("$(a,$(b)) c"), Some(9));
        assert_eq!(macro_length("$CC x"), Some(3));
        assert_eq!(macro_length("$(a"), None);
    }
}
