//! Answer files of the installer.

use std::path::Path;

use aegis_core::report::render;
use aegis_installer::answers::Answers;

/// Reads the bytes as far as they are text.
pub fn run(bytes: &[u8]) {
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let path = Path::new("answers.toml");
    let answers = match Answers::parse(text, path) {
        Ok(answers) => answers,
        Err(error) => {
            assert!(render(&error).contains("answers.toml"));
            return;
        }
    };
    let problems = answers.problems();
    assert!(problems.iter().all(|problem| !problem.field.is_empty() && !problem.rule.is_empty()));
    assert!(!answers.disk.to_string().is_empty());
    // A password is never printed, so only answers without one can be read again.
    if answers.user.password.is_none() {
        let printed = toml::to_string(&answers).expect("answers are printed");
        let again = Answers::parse(&printed, path).expect("what is printed reads back");
        assert_eq!(again, answers);
        assert_eq!(again.problems(), problems);
    }
}
