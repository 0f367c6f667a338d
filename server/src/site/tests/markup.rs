//! A reader of markup that forgives nothing: what browsers repair in silence is an error here.

/// Elements without an end.
const VOID: [&str; 8] = ["br", "hr", "img", "input", "link", "meta", "source", "wbr"];
/// Elements that a `p` ends before.
const BLOCKS: [&str; 18] = [
    "address", "article", "aside", "div", "dl", "figure", "footer", "form", "h1", "h2", "h3", "header",
    "main", "nav", "ol", "pre", "section", "ul",
];

/// A start tag.
#[derive(Debug)]
pub(in crate::site) struct Tag {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    /// Names of the elements around it.
    pub(super) around: Vec<String>,
    /// Text that follows it.
    pub(super) text: String,
}

impl Tag {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Every tag in order, when the text is well-formed HTML with a doctype.
pub(in crate::site) fn check(text: &str) -> Result<Vec<Tag>, String> {
    let body = text.strip_prefix("<!DOCTYPE html>\n").ok_or("there is no doctype")?;
    read(body, true)
}

pub(super) fn check_xml(text: &str) -> Result<Vec<Tag>, String> {
    let body =
        text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").ok_or("there is no declaration")?;
    read(body, false)
}

fn read(mut rest: &str, html: bool) -> Result<Vec<Tag>, String> {
    let (mut tags, mut open) = (Vec::<Tag>::new(), Vec::<String>::new());
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        references(text)?;
        if let Some(last) = tags.last_mut() {
            last.text.push_str(text);
        }
        if let Some(end) = tag.strip_prefix("</") {
            let (name, after) = end.split_once('>').ok_or("an end tag does not end")?;
            let expected = open.pop().ok_or_else(|| format!("</{name}> closes nothing"))?;
            if name != expected {
                return Err(format!("</{name}> where </{expected}> is due"));
            }
            rest = after;
            continue;
        }
        let (tag, closed, after) = start(tag, &open)?;
        if html && open.iter().any(|name| name == "p") && BLOCKS.contains(&tag.name.as_str()) {
            return Err(format!("<{}> inside <p>", tag.name));
        }
        if !(closed || html && VOID.contains(&tag.name.as_str())) {
            open.push(tag.name.clone());
        }
        tags.push(tag);
        rest = after;
    }
    references(rest)?;
    match open.pop() {
        Some(name) => Err(format!("<{name}> is never closed")),
        None => Ok(tags),
    }
}

fn start<'a>(text: &'a str, open: &[String]) -> Result<(Tag, bool, &'a str), String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == ':';
    let inner = &text[1..];
    let end = inner.find(|c| !is_name(c)).ok_or("a tag does not end")?;
    let (name, mut rest) = inner.split_at(end);
    if name.is_empty() {
        return Err(format!("a bare < at {:?}", &text[..text.len().min(30)]));
    }
    let mut attributes = Vec::<(String, String)>::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("/>") {
            let tag = Tag { name: name.into(), attributes, around: open.into(), text: String::new() };
            return Ok((tag, true, after));
        }
        if let Some(after) = rest.strip_prefix('>') {
            let tag = Tag { name: name.into(), attributes, around: open.into(), text: String::new() };
            return Ok((tag, false, after));
        }
        let end = rest.find(|c: char| !(is_name(c) || c == '_')).ok_or("a tag does not end")?;
        let (key, after) = rest.split_at(end);
        if key.is_empty() {
            return Err(format!(
                "<{name}> has something that is no attribute: {:?}",
                &rest[..rest.len().min(20)]
            ));
        }
        let mut value = String::new();
        rest = after;
        if let Some(quoted) = after.strip_prefix("=\"") {
            let (inside, after) = quoted.split_once('"').ok_or("a value does not end")?;
            if inside.contains('<') {
                return Err(format!("< in the value of {key}"));
            }
            references(inside)?;
            value = inside.into();
            rest = after;
        } else if after.starts_with('=') {
            return Err(format!("the value of {key} has no quotes"));
        }
        if attributes.iter().any(|(other, _)| other == key) {
            return Err(format!("<{name}> has {key} twice"));
        }
        attributes.push((key.into(), value));
    }
}

/// Every `&` begins a reference.
fn references(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('&') {
        let name = text[at + 1..].split_once(';').map(|(name, _)| name);
        if !name.is_some_and(|name| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '#')
        }) {
            return Err(format!("a bare & in {text:?}"));
        }
    }
    Ok(())
}

#[test]
fn the_reader_finds_what_is_wrong() {
    assert!(check("<!DOCTYPE html>\n<p>a &amp; b<br></p>").is_ok());
    for wrong in [
        "<p></p>",
        "<!DOCTYPE html>\n<p>",
        "<!DOCTYPE html>\n</p>",
        "<!DOCTYPE html>\n<p><b></p></b>",
        "<!DOCTYPE html>\n<p><div></div></p>",
        "<!DOCTYPE html>\n<p a=b></p>",
        "<!DOCTYPE html>\n<p a=\"1\" a=\"2\"></p>",
        "<!DOCTYPE html>\n<p a=\"<\"></p>",
        "<!DOCTYPE html>\n<p>a & b</p>",
        "<!DOCTYPE html>\n<p>a < b</p>",
        "<!DOCTYPE html>\n<p \"x\"></p>",
    ] {
        assert!(check(wrong).is_err(), "{wrong}");
    }
}
