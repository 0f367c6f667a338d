//! Reading Kconfig files into a [`Tree`].

use std::{fs, path::Path};

use super::{
    Choice, Definition, Error, Kind, Place, Selector, Tree,
    expr::Expr,
    line::{Line, lines, quoted, word},
};

/// Files that include each other deeper than this go round in a ring; the kernel's deepest are 9 levels.
const DEEPEST: usize = 32;

/// What encloses a line.
struct Block {
    /// The word that ends it.
    end: &'static str,
    depends: Expr,
    visible: Expr,
    choice: Option<usize>,
}

/// The entry that attributes belong to.
enum Entry {
    None,
    Symbol(String),
    /// The innermost block, a menu or a choice.
    Block,
    /// A comment, whose attributes nobody asks for.
    Ignored,
}

struct Reader<'a> {
    source: &'a Path,
    arch: &'a str,
    tree: Tree,
    blocks: Vec<Block>,
    entry: Entry,
    depth: usize,
}

impl Tree {
    /// Reads `Kconfig` below `source` and everything that it includes, for an architecture such as `x86`.
    ///
    /// # Errors
    /// When a file cannot be read, or a line is not of the language.
    pub fn read(source: &Path, arch: &str) -> Result<Self, Error> {
        let mut reader =
            Reader { source, arch, tree: Self::default(), blocks: Vec::new(), entry: Entry::None, depth: 0 };
        reader.file("Kconfig")?;
        Ok(reader.tree)
    }
}

impl Reader<'_> {
    fn file(&mut self, name: &str) -> Result<(), Error> {
        let path = self.source.join(name);
        let text = fs::read(&path).map_err(|source| Error::Read { path, source })?;
        self.text(name, &String::from_utf8_lossy(&text))
    }

    fn text(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let outer = self.blocks.len();
        for line in lines(text) {
            let place = Place { file: name.to_owned(), line: line.number };
            self.line(&line, &place, outer).map_err(|wrong| match wrong {
                Wrong::Here(what) => Error::Line { place, what },
                Wrong::Inside(error) => error,
            })?;
        }
        if self.blocks.len() != outer {
            let place = Place { file: name.to_owned(), line: text.lines().count() };
            return Err(Error::Line { place, what: "the file ends within a block" });
        }
        self.entry = Entry::None;
        Ok(())
    }

    fn line(&mut self, line: &Line, place: &Place, outer: usize) -> Result<(), Wrong> {
        let (first, rest) = word(&line.text);
        match first {
            "config" | "menuconfig" => self.symbol(rest, place),
            "source" | "rsource" | "osource" | "orsource" => self.source(first, rest, place),
            "if" => {
                let depends = expr(rest)?;
                self.open("endif", depends, None);
                self.entry = Entry::None;
                Ok(())
            }
            "menu" => {
                self.open("endmenu", Expr::yes(), None);
                self.entry = Entry::Block;
                Ok(())
            }
            "choice" => {
                self.tree.choices.push(Choice::default());
                self.open("endchoice", Expr::yes(), Some(self.tree.choices.len() - 1));
                self.entry = Entry::Block;
                Ok(())
            }
            "endif" | "endmenu" | "endchoice" => {
                self.entry = Entry::None;
                let ends =
                    self.blocks.len() > outer && self.blocks.pop().is_some_and(|block| block.end == first);
                if ends { Ok(()) } else { Err("it ends no block that was opened in this file".into()) }
            }
            "mainmenu" | "comment" => {
                self.entry = Entry::Ignored;
                Ok(())
            }
            // Macros are kept where they are used, and not run.
            _ if rest.starts_with(":=")
                || rest.starts_with("+=")
                || rest.starts_with('=')
                || first.starts_with('$') =>
            {
                Ok(())
            }
            _ => self.attribute(first, rest, place),
        }
    }

    fn open(&mut self, end: &'static str, depends: Expr, choice: Option<usize>) {
        self.blocks.push(Block { end, depends, visible: Expr::yes(), choice });
    }

    /// Everything that encloses a definition.
    fn around(&self) -> Expr {
        self.blocks.iter().fold(Expr::yes(), |all, block| all.and(block.depends.clone()))
    }

    fn source(&mut self, how: &str, rest: &str, place: &Place) -> Result<(), Wrong> {
        let (name, _) = quoted(rest).ok_or("the file has no quotes")?;
        let name = name.replace("$(SRCARCH)", self.arch).replace("$SRCARCH", self.arch);
        let name = if how.ends_with("rsource") {
            let directory = place.file.rsplit_once('/').map_or("", |(directory, _)| directory);
            format!("{directory}/{name}")
        } else {
            name
        };
        if name.contains('$') || name.split('/').any(|part| part == "..") || name.starts_with('/') {
            return Err("the file's name cannot be known".into());
        }
        if how.starts_with('o') && !self.source.join(&name).exists() {
            return Ok(());
        }
        if self.depth == DEEPEST {
            return Err("files include each other in a ring".into());
        }
        self.depth += 1;
        let read = self.file(&name).map_err(Wrong::Inside);
        self.depth -= 1;
        read
    }

    fn symbol(&mut self, rest: &str, place: &Place) -> Result<(), Wrong> {
        let (name, _) = word(rest);
        if name.is_empty() {
            return Err("the symbol has no name".into());
        }
        let choice = self.blocks.iter().rev().find_map(|block| block.choice);
        let definition = Definition {
            place: place.clone(),
            prompt: None,
            depends: self.around(),
            ranges: Vec::new(),
            choice,
        };
        self.tree.symbols.entry(name.to_owned()).or_default().definitions.push(definition);
        if let Some(choice) = choice.and_then(|number| self.tree.choices.get_mut(number)) {
            choice.members.push(name.to_owned());
        }
        self.entry = Entry::Symbol(name.to_owned());
        Ok(())
    }

    fn attribute(&mut self, first: &str, rest: &str, place: &Place) -> Result<(), Wrong> {
        match &self.entry {
            Entry::None => Err("it belongs to no symbol, menu or choice".into()),
            Entry::Ignored => Ok(()),
            Entry::Block => self.of_block(first, rest),
            Entry::Symbol(name) => {
                let name = name.clone();
                self.of_symbol(&name, first, rest, place)
            }
        }
    }

    fn of_block(&mut self, first: &str, rest: &str) -> Result<(), Wrong> {
        let Some(block) = self.blocks.last_mut() else { return Ok(()) };
        match first {
            "depends" => block.depends = block.depends.clone().and(depends(rest)?),
            "visible" => {
                let condition = rest.strip_prefix("if").ok_or("`visible` without `if`")?;
                block.visible = block.visible.clone().and(expr(condition)?);
            }
            "prompt" | "bool" | "tristate" => {
                if let (Some((prompt, _)), Some(choice)) = (quoted(rest), block.choice) {
                    self.tree.choices[choice].prompt = prompt.to_owned();
                }
            }
            "default" | "optional" => {}
            _ => return Err("a menu or choice has no such attribute".into()),
        }
        Ok(())
    }

    fn of_symbol(&mut self, name: &str, first: &str, rest: &str, place: &Place) -> Result<(), Wrong> {
        let visible = self.blocks.iter().fold(Expr::yes(), |all, block| all.and(block.visible.clone()));
        let symbol = self.tree.symbols.entry(name.to_owned()).or_default();
        let Some(definition) = symbol.definitions.last_mut() else { return Ok(()) };
        let mut kind = None;
        match first {
            "bool" | "def_bool" => kind = Some(Kind::Bool),
            "tristate" | "def_tristate" => kind = Some(Kind::Tristate),
            "string" => kind = Some(Kind::String),
            "int" => kind = Some(Kind::Int),
            "hex" => kind = Some(Kind::Hex),
            "prompt" => {}
            "depends" => definition.depends = definition.depends.clone().and(depends(rest)?),
            "select" => {
                let (target, condition) = conditional(rest);
                let condition = definition.depends.clone().and(condition?);
                let selector = Selector { symbol: name.to_owned(), condition, place: place.clone() };
                self.tree.selectors.entry(target.trim().to_owned()).or_default().push(selector);
                return Ok(());
            }
            "range" => {
                let (bounds, condition) = conditional(rest);
                let mut bounds = bounds.split_whitespace();
                let (Some(least), Some(greatest)) = (bounds.next(), bounds.next()) else {
                    return Err("a range has two bounds".into());
                };
                definition.ranges.push((least.to_owned(), greatest.to_owned(), condition?));
            }
            "default" | "imply" | "option" | "modules" | "optional" | "transitional" | "visible" => {}
            _ => return Err("a symbol has no such attribute".into()),
        }
        if let Some(kind) = kind {
            symbol.kind = kind;
        }
        // `bool "text"` asks; `def_bool y` and `bool` alone do not.
        if !first.starts_with("def_")
            && (kind.is_some() || first == "prompt")
            && let Some((_, after)) = quoted(rest)
        {
            let condition = after.strip_prefix("if").map_or(Ok(Expr::yes()), expr)?;
            definition.prompt = Some(condition.and(visible));
        }
        Ok(())
    }
}

/// What is wrong with a line, or with a file that it includes.
enum Wrong {
    Here(&'static str),
    Inside(Error),
}

impl From<&'static str> for Wrong {
    fn from(what: &'static str) -> Self {
        Self::Here(what)
    }
}

fn expr(text: &str) -> Result<Expr, Wrong> {
    Expr::parse(text).ok_or(Wrong::Here("it has an expression that cannot be read"))
}

fn on(rest: &str) -> Result<&str, Wrong> {
    rest.strip_prefix("on").ok_or(Wrong::Here("`depends` without `on`"))
}

/// `on EXPR`, and since 7.0 `on EXPR if EXPR`, which asks for the first only where the second holds.
fn depends(rest: &str) -> Result<Expr, Wrong> {
    let (needed, condition) = conditional(on(rest)?);
    let (needed, condition) = (expr(needed)?, condition?);
    if condition == Expr::yes() {
        return Ok(needed);
    }
    Ok(Expr::Or(Box::new(Expr::Not(Box::new(condition))), Box::new(needed)))
}

/// `X if EXPR`: X, and the expression.
fn conditional(text: &str) -> (&str, Result<Expr, Wrong>) {
    let split = text.split_once(" if ").or_else(|| text.split_once("\tif "));
    split.map_or((text, Ok(Expr::yes())), |(before, condition)| (before, expr(condition)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Tree, String> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Tree::read(directory.path(), "x86").map_err(|error| error.to_string())
    }

    const TEXT: &str = "mainmenu \"x\"\nCC := $(shell,gcc)\nsource \"arch/$(SRCARCH)/Kconfig\"\nif NET\nmenu \"m\"\n\
        \tdepends on PCI\n\tvisible if EXPERT\nconfig A\n\ttristate \"a\" if B\n\tdepends on C || D\n\tselect S if T\n\
        \thelp\n\t  config NOT\nconfig NUMBER\n\tint \"n\"\n\trange 1 0x10 if B\nconfig HIDDEN\n\tdef_bool y\n\tdepends on E if F\nendmenu\nendif\n\
        choice\n\tprompt \"Timer frequency\"\n\tdefault HZ_250\nconfig HZ_100\n\tbool \"100\"\nconfig HZ_250\n\tbool \"250\"\nendchoice\n";

    #[test]
    fn every_construct_of_the_language() {
        let tree = read(&[("Kconfig", TEXT), ("arch/x86/Kconfig", "config X86\n\tdef_bool y\n")]).unwrap();
        let a = &tree.symbol("A").unwrap().definitions[0];
        assert_eq!(a.depends.to_string(), "NET && PCI && (C || D)");
        assert_eq!(a.prompt.as_ref().unwrap().to_string(), "B && EXPERT");
        assert_eq!(
            (a.place.to_string().as_str(), tree.symbol("A").unwrap().kind),
            ("Kconfig:8", Kind::Tristate)
        );
        let selector = &tree.selected_by("S")[0];
        assert_eq!(
            (selector.symbol.as_str(), selector.condition.to_string()),
            ("A", "NET && PCI && (C || D) && T".into())
        );
        assert!(tree.symbol("HIDDEN").unwrap().definitions[0].prompt.is_none());
        assert_eq!(
            tree.symbol("HIDDEN").unwrap().definitions[0].depends.to_string(),
            "NET && PCI && (!F || E)"
        );
        assert_eq!(tree.symbol("NUMBER").unwrap().definitions[0].ranges[0].1, "0x10");
        assert_eq!(tree.choices()[0].members, ["HZ_100", "HZ_250"]);
        assert!(tree.symbol("X86").is_some() && tree.symbol("NOT").is_none());
        assert_eq!(tree.similar("HZ_200"), ["HZ_100", "HZ_250"]);
    }

    #[test]
    fn what_is_not_of_the_language_is_named_by_its_line() {
        for (text, words) in [
            ("endif\n", "Kconfig:1: it ends no block"),
            ("if A\nendmenu\n", "Kconfig:2: it ends no block"),
            ("if A\n", "Kconfig:1: the file ends within"),
            ("bool \"x\"\n", "Kconfig:1: it belongs to no symbol"),
            ("config A\n\tcolour red\n", "Kconfig:2: a symbol has no such attribute"),
            ("config A\n\tdepends on B &&\n", "Kconfig:2: it has an expression"),
            ("config\n", "Kconfig:1: the symbol has no name"),
            ("source \"Kconfig\"\n", "Kconfig:1: files include each other"),
            ("source \"../x\"\n", "Kconfig:1: the file's name"),
            ("source \"missing\"\n", "cannot read"),
        ] {
            let error = read(&[("Kconfig", text)]).unwrap_err();
            assert!(error.starts_with(words), "{error}");
        }
    }
}
