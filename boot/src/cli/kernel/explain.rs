//! `aegis kernel explain`: what stands in the way of a value, the lines that give it, and what they do to every edition.

use aegis_editions::Spec;
use aegis_kernel_configs::{
    Location, Value,
    kconfig::{Tree, explain},
    layer::{Request, Rules},
};
use serde::Serialize;
use serde_json::json;

use super::{Common, Place};
use crate::{
    cli::load,
    error::{Error, Result},
    kernel::configure::{self, Configured},
};

/// What the proposed lines change in an edition that has the layer.
#[derive(Serialize)]
struct Effect {
    edition: &'static str,
    /// Symbols and their values before and after; none where the edition does not have the layer.
    changes: Option<Vec<(String, Value, Value)>>,
}

/// More symbols than these are counted and not listed.
const LISTED: usize = 12;

pub(super) fn run(text: &str, edition: &str, common: Common, json: bool) -> Result<()> {
    let spec = load(edition)?;
    let (place, _) = common.open(json, 0)?;
    let tree = Tree::read(&place.workshop.source, "x86").map_err(Error::Kconfig)?;
    let (configured, _) = place.configured(&spec)?;
    let (symbol, wanted) = request(text, &configured)?;
    let why = explain::why(&tree, &configured.config, &symbol, &wanted);
    let layer = layer_for(&configured, &symbol, &spec);
    let effects = if why.proposal.is_empty() { Vec::new() } else { effects(&place, &layer, &why.proposal)? };
    if json {
        let found = configured.config.get(&symbol);
        let line = json!({
            "symbol": symbol, "wanted": wanted, "found": found, "edition": spec.id, "kernel": place.workshop.version,
            "why": why, "layer": layer, "effects": effects,
        });
        say!("{line}");
        return Ok(());
    }
    say!("CONFIG_{symbol} is {} in {}, wanted is {wanted}:", configured.config.get(&symbol), spec.id);
    why.reasons.iter().for_each(|reason| say!("  {reason}"));
    if why.proposal.is_empty() {
        return Ok(());
    }
    say!("\nlines for kernel-configs/{layer}.config:");
    why.proposal.iter().for_each(|(name, value)| say!("  CONFIG_{name}={value}  # why"));
    say!("\nwith them:");
    effects.iter().for_each(print);
    let own = effects
        .iter()
        .find(|effect| effect.edition == spec.id.id())
        .and_then(|effect| effect.changes.as_ref());
    let after = own.and_then(|changes| changes.iter().find(|(name, ..)| *name == symbol));
    if after.is_none_or(|(_, _, after)| !wanted.same(after)) {
        let found = after.map_or_else(|| configured.config.get(&symbol), |(_, _, after)| after);
        say!("\nbut the kernel does not take it: CONFIG_{symbol} would be {found}");
    }
    Ok(())
}

fn request(text: &str, configured: &Configured) -> Result<(String, Value)> {
    let text = text.strip_prefix("CONFIG_").unwrap_or(text);
    let (symbol, value) = text.split_once('=').map_or((text, None), |(symbol, value)| (symbol, Some(value)));
    let wrong = || Error::NoRequest(text.to_owned());
    if symbol.is_empty() || !symbol.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(wrong());
    }
    let asked = configured.merged.requests.get(symbol).map(|request| request.value.clone());
    let value = match value {
        Some(value) => Value::parse(value).ok_or_else(wrong)?,
        None => asked.unwrap_or(Value::Yes),
    };
    Ok((symbol.to_owned(), value))
}

/// The layer to write into: where the symbol is asked for, else the edition's own.
fn layer_for(configured: &Configured, symbol: &str, spec: &Spec) -> String {
    let asked = configured.merged.requests.get(symbol);
    asked.map_or_else(|| format!("edition/{}", spec.id), |request| request.at.layer.clone())
}

/// Asks the kernel what the lines would do to every edition.
fn effects(place: &Place, layer: &str, lines: &[(String, Value)]) -> Result<Vec<Effect>> {
    let effect = |spec: &Spec| {
        let edition = spec.id.id();
        if !configure::layers_of(spec).iter().any(|name| name == layer) {
            return Ok(Effect { edition, changes: None });
        }
        let (before, _) = place.configured(spec)?;
        let mut merged = before.merged.clone();
        for (number, (symbol, value)) in lines.iter().enumerate() {
            let at = Location { layer: layer.to_owned(), line: number + 1 };
            let (reason, rules) = ("proposed".to_owned(), Rules::default());
            let request = Request { symbol: symbol.clone(), value: value.clone(), reason, rules, at };
            merged.requests.insert(symbol.clone(), request);
        }
        let (after, _) = configure::configure(&place.cache, &place.workshop, spec, merged)?;
        let changed = before.config.differences(&after.config);
        let changes =
            changed.into_iter().map(|(symbol, one, two)| (symbol.to_owned(), one.clone(), two.clone()));
        Ok(Effect { edition, changes: Some(changes.collect()) })
    };
    Spec::all().map_err(Error::Spec)?.iter().map(effect).collect()
}

fn print(effect: &Effect) {
    let Some(changes) = &effect.changes else {
        say!("  {:<10} unchanged: it does not have this layer", effect.edition);
        return;
    };
    let listed: Vec<String> = changes
        .iter()
        .take(LISTED)
        .map(|(symbol, before, after)| format!("{symbol} {before} -> {after}"))
        .collect();
    let more = changes.len().saturating_sub(LISTED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    match changes.len() {
        0 => say!("  {:<10} unchanged", effect.edition),
        count => say!("  {:<10} {count} symbols change: {}{more}", effect.edition, listed.join(", ")),
    }
}
