//! What an API server does between reading an object and storing it.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{
    cause::Cause,
    cel, core_kinds, defaults,
    definitions::{Definition, Definitions, Lookup, metadata as metadata_schema},
    lists, metadata,
    path::Path,
    prune::{self, Unknown},
    typed::Decoder,
    validate,
};

/// An object that an API server would store.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// Without the fields that its kind does not have, with defaults.
    pub object: Value,
    /// Fields that were taken away. With `fieldValidation: Strict`, as kubectl and Argo CD ask, they refuse the object.
    pub warnings: Vec<Unknown>,
    /// Whether the kind is defined; else the object is as it was.
    pub known: bool,
}

/// Takes an object as an API server does that has these definitions; `old` is what is stored.
///
/// # Errors
/// Everything for which the server refuses it.
pub fn admit(definitions: &Definitions, object: Value, old: Option<&Value>) -> Result<Admitted, Vec<Cause>> {
    decode(definitions, object)?.admit(old)
}

/// Everything that an API server has against putting `object` in the place of `old`, besides what it has against the object
/// itself: rules that look at both, fields that may not change. For an object that [`admit`] took, in place of asking all of
/// it again. An empty list for most kinds, at no cost.
pub fn update(definitions: &Definitions, object: &Value, old: &Value) -> Vec<Cause> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    let mut out = Vec::new();
    if let Lookup::Found(definition) = definitions.find(group, version, text("kind")) {
        if definition.typed {
            core_kinds::check_update(&definition, object, old, &mut out);
        } else {
            cel::validate_update(definition.schema(), object, old, &mut out);
        }
    }
    out
}

/// Whether [`update`] may have something against any update of a kind.
pub fn judges_updates(definitions: &Definitions, group: &str, version: &str, kind: &str) -> bool {
    match definitions.find(group, version, kind) {
        Lookup::Found(definition) if definition.typed => core_kinds::judges_updates(kind),
        Lookup::Found(definition) => cel::judges_updates(definition.schema()),
        _ => false,
    }
}

/// An object that was read as its kind: without the fields that the kind does not have, with defaults.
#[derive(Clone, Debug)]
pub struct Decoded {
    object: Value,
    unknown: Vec<Unknown>,
    /// `None` for a kind that is not defined.
    definition: Option<Arc<Definition>>,
}

/// The first half of [`admit`]: a server that is asked for strictness refuses unknown fields after it.
///
/// # Errors
/// Why the object is none of its kind.
pub fn decode(definitions: &Definitions, mut object: Value) -> Result<Decoded, Vec<Cause>> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion").to_owned(), text("kind").to_owned());
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let definition = match definitions.find(group, version, &kind) {
        Lookup::Found(definition) => definition,
        Lookup::Unknown => return Ok(Decoded { object, unknown: Vec::new(), definition: None }),
        Lookup::OtherVersions => {
            let words = format!("no matches for kind \"{kind}\" in version \"{api_version}\"");
            return Err(vec![Cause { path: "apiVersion".into(), ..Cause::decode(words) }]);
        }
    };
    let mut unknown = read(&definition, &mut object).map_err(|cause| vec![cause])?;
    unknown.sort();
    if definition.status
        && let Value::Object(map) = &mut object
    {
        map.remove("status");
    }
    Ok(Decoded { object, unknown, definition: Some(definition) })
}

impl Decoded {
    /// The object.
    pub fn object(&self) -> &Value {
        &self.object
    }

    /// Fields that the kind does not have.
    pub fn unknown(&self) -> &[Unknown] {
        &self.unknown
    }

    /// Whether faults of an older object are let through: those of kinds that a definition describes, and not Kubernetes' own code.
    pub fn is_ratcheted(&self) -> bool {
        self.definition.as_ref().is_some_and(|definition| !definition.typed)
    }

    /// Everything for which the server refuses it.
    pub fn wrong(&self, old: Option<&Value>) -> Vec<Cause> {
        self.definition.as_ref().map(|definition| wrong(definition, &self.object, old)).unwrap_or_default()
    }

    /// The object, whatever is wrong with it.
    pub fn into_object(self) -> Value {
        self.object
    }

    /// The second half of [`admit`].
    ///
    /// # Errors
    /// Everything for which the server refuses it.
    pub fn admit(self, old: Option<&Value>) -> Result<Admitted, Vec<Cause>> {
        let causes = self.definition.as_ref().map(|definition| wrong(definition, &self.object, old));
        let Self { object, unknown: warnings, definition } = self;
        match causes {
            Some(causes) if !causes.is_empty() => Err(causes),
            _ => Ok(Admitted { object, warnings, known: definition.is_some() }),
        }
    }
}

/// Unknown fields, defaults, null. A value that does not fit a Go type is the end.
fn read(definition: &Definition, object: &mut Value) -> Result<Vec<Unknown>, Cause> {
    let refused = |path: String, words: &str| {
        let (kind, version) = (&definition.kind, &definition.version);
        let words = format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {words}");
        Cause { path, ..Cause::decode(words) }
    };
    let mut decoder = Decoder::new();
    if definition.typed {
        decoder.decode(definition.schema(), object, &Path::ROOT);
    } else if let Some(metadata) = object.get_mut("metadata").filter(|metadata| !metadata.is_null()) {
        decoder.decode(metadata_schema(), metadata, &Path::ROOT.field("metadata"));
    }
    if let Some(misfit) = decoder.misfit {
        return Err(refused(misfit.path, &misfit.words));
    }
    let mut unknown = decoder.unknown;
    if definition.typed {
        core_kinds::fill(&definition.kind, object);
        core_kinds::tidy(definition.schema(), object);
    } else {
        core_kinds::tidy_metadata(metadata_schema(), object);
    }
    if !definition.typed {
        let schema = definition.schema();
        defaults::fill(schema, object);
        prune::prune(schema, object, &Path::ROOT, true, &mut unknown);
        defaults::drop_nulls(schema, object);
    }
    Ok(unknown)
}

/// Everything for which the object is refused once it is decoded.
fn wrong(definition: &Arc<Definition>, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut out = Vec::new();
    let none = Map::new();
    let meta = object.get("metadata").and_then(Value::as_object).unwrap_or(&none);
    metadata::validate(meta, definition.namespaced, definition.names(), &mut out);
    if definition.typed {
        core_kinds::check(definition, object, old, &mut out);
        return out;
    }
    out.extend(validate::validate(definition.schema(), object, old, &Path::ROOT));
    // What stands twice in the older object too is let through.
    let twice = |object| {
        let mut found = Vec::new();
        lists::validate(definition.schema(), object, &Path::ROOT, &mut found);
        found
    };
    let found = twice(object);
    if !found.is_empty() && old.is_none_or(|old| twice(old).is_empty()) {
        out.extend(found);
    }
    cel::validate(definition.schema(), object, old, &mut out);
    out
}
