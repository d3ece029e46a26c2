//! The kinds that are known: those packed into the program, and those that a repository defines.

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    sync::{Arc, OnceLock},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{metadata::NameRule, read, schema::Schema};

static PACK: &str = include_str!(env!("PORTOLAN_SCHEMAS"));

/// One version of a kind.
#[derive(Debug)]
pub struct Definition {
    /// API group; empty for the core one.
    pub group: Box<str>,
    /// Version, such as `v1`.
    pub version: Box<str>,
    /// Kind.
    pub kind: Box<str>,
    /// Name of the resource.
    pub plural: Box<str>,
    /// Short names of the resource.
    pub short: Vec<Box<str>>,
    /// Whether objects stand in a namespace.
    pub namespaced: bool,
    /// A kind of Kubernetes itself: decoded into Go's types, and validated by code.
    pub typed: bool,
    /// `status` is not taken from who writes the object.
    pub status: bool,
    schema: Source,
}

#[derive(Debug)]
enum Source {
    /// A node of the pack, read when it is asked for.
    Packed(usize),
    Whole(Arc<Schema>),
}

impl Definition {
    /// Its schema.
    pub fn schema(&self) -> &Arc<Schema> {
        match &self.schema {
            Source::Packed(root) => pack().node(*root),
            Source::Whole(schema) => schema,
        }
    }

    /// Makes the programs of all rules and patterns, which otherwise are made when a value needs them first.
    pub fn prepare(&self) {
        let mut seen = std::collections::HashSet::new();
        let mut open = vec![self.schema()];
        while let Some(schema) = open.pop() {
            if !seen.insert(Arc::as_ptr(schema)) {
                continue;
            }
            crate::cel::prepare(schema);
            if let Some(pattern) = &schema.pattern {
                pattern.is_found_in("");
            }
            open.extend(schema.properties.iter().map(|(_, child)| child));
            open.extend(schema.items.iter().chain(schema.additional()));
            if let Some(unions) = &schema.unions {
                let parts = unions.any_of.iter().chain(&unions.one_of).chain(&unions.all_of);
                open.extend(parts.chain(&unions.not));
            }
        }
    }

    /// What names of its objects look like.
    pub fn names(&self) -> NameRule {
        match (&*self.group, &*self.kind) {
            // Since 1.36 a Service may begin with a digit.
            ("", "Namespace" | "Service") => NameRule::Label,
            _ => NameRule::Subdomain,
        }
    }
}

/// Group and kind.
type GroupKind = (Box<str>, Box<str>);

/// All kinds that are known, by group, kind and version. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Definitions {
    builtin: bool,
    /// From the repository: they win, kind by kind.
    brought: BTreeMap<GroupKind, Arc<Brought>>,
}

/// What a CustomResourceDefinition of a repository defines. Equal if all that it defines is.
#[derive(Debug)]
pub struct Brought {
    /// API group.
    pub group: Box<str>,
    /// Kind.
    pub kind: Box<str>,
    versions: Vec<Arc<Definition>>,
    namespaced: bool,
    print: u64,
}

impl PartialEq for Brought {
    fn eq(&self, other: &Self) -> bool {
        (&self.group, &self.kind, self.print) == (&other.group, &other.kind, other.print)
    }
}

impl Brought {
    /// Reads one; `None` if the object is none.
    pub fn read(crd: &Value) -> Option<Self> {
        let text = |pointer| crd.pointer(pointer).and_then(Value::as_str);
        if crd.get("kind")? != "CustomResourceDefinition" {
            return None;
        }
        let (group, kind): (Box<str>, Box<str>) =
            (text("/spec/group")?.into(), text("/spec/names/kind")?.into());
        let namespaced = text("/spec/scope") != Some("Cluster");
        let all = |pointer| crd.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        let short: Vec<Box<str>> =
            all("/spec/names/shortNames").filter_map(Value::as_str).map(Box::from).collect();
        let served = all("/spec/versions").filter(|version| version["served"] == true);
        let versions = served
            .map(|version| {
                let schema = version.pointer("/schema/openAPIV3Schema");
                Arc::new(Definition {
                    group: group.clone(),
                    version: version["name"].as_str().unwrap_or_default().into(),
                    kind: kind.clone(),
                    plural: text("/spec/names/plural").unwrap_or_default().into(),
                    short: short.clone(),
                    namespaced,
                    typed: false,
                    status: version.pointer("/subresources/status").is_some(),
                    schema: Source::Whole(
                        schema.map_or_else(read::anything, |schema| read::whole(schema, 0)),
                    ),
                })
            })
            .collect();
        let mut hasher = DefaultHasher::new();
        crd.get("spec").map(Value::to_string).hash(&mut hasher);
        Some(Self { group, kind, versions, namespaced, print: hasher.finish() })
    }
}

/// What is known of a kind and version.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// It is defined.
    Found(Arc<Definition>),
    /// The kind is, in other versions.
    OtherVersions,
    /// The kind is not.
    Unknown,
}

/// Those that are packed.
impl Default for Definitions {
    fn default() -> Self {
        Self::builtin()
    }
}

impl Definitions {
    /// Those that are packed.
    pub fn builtin() -> Self {
        Self { builtin: true, brought: BTreeMap::new() }
    }

    /// None.
    pub fn none() -> Self {
        Self { builtin: false, brought: BTreeMap::new() }
    }

    /// The definition of a kind.
    pub fn find(&self, group: &str, version: &str, kind: &str) -> Lookup {
        let of = |all: &[Arc<Definition>]| {
            let found = all.iter().find(|one| &*one.version == version);
            found.map_or(Lookup::OtherVersions, |found| Lookup::Found(Arc::clone(found)))
        };
        let key = (Box::from(group), Box::from(kind));
        match self.brought.get(&key) {
            Some(brought) => of(&brought.versions),
            None if self.builtin => pack().kinds.get(&key).map_or(Lookup::Unknown, |all| of(all)),
            None => Lookup::Unknown,
        }
    }

    /// Whether objects of a kind stand in a namespace; `None` if the kind is not known.
    pub fn namespaced(&self, group: &str, kind: &str) -> Option<bool> {
        let key = (Box::from(group), Box::from(kind));
        match self.brought.get(&key) {
            Some(brought) => Some(brought.namespaced),
            None if self.builtin => pack().kinds.get(&key)?.first().map(|one| one.namespaced),
            None => None,
        }
    }

    /// Takes a definition of the repository: it wins over what is packed.
    pub fn bring(&mut self, brought: Arc<Brought>) {
        self.brought.insert((brought.group.clone(), brought.kind.clone()), brought);
    }

    /// Forgets a definition of the repository.
    pub fn forget(&mut self, group: &str, kind: &str) {
        self.brought.remove(&(Box::from(group), Box::from(kind)));
    }

    /// All that are packed.
    pub fn packed() -> impl Iterator<Item = &'static Arc<Definition>> {
        pack().kinds.values().flatten()
    }
}

/// The metadata of every object.
pub(crate) fn metadata() -> &'static Arc<Schema> {
    let pack = pack();
    pack.node(pack.metadata)
}

struct Pack {
    kinds: BTreeMap<GroupKind, Vec<Arc<Definition>>>,
    nodes: Vec<(&'static str, OnceLock<Arc<Schema>>)>,
    metadata: usize,
}

#[derive(Deserialize)]
struct Entry {
    group: Box<str>,
    version: Box<str>,
    kind: Box<str>,
    plural: Box<str>,
    #[serde(default)]
    short: Vec<Box<str>>,
    namespaced: bool,
    #[serde(default)]
    typed: bool,
    #[serde(default)]
    status: bool,
    root: usize,
}

fn pack() -> &'static Pack {
    static READ: OnceLock<Pack> = OnceLock::new();
    READ.get_or_init(|| {
        let mut lines = PACK.lines();
        let entries: Vec<Entry> =
            serde_json::from_str(lines.next().unwrap_or_default()).expect("the set-up wrote it");
        let mut pack = Pack {
            kinds: BTreeMap::new(),
            nodes: lines.map(|line| (line, OnceLock::new())).collect(),
            metadata: 0,
        };
        for entry in entries {
            if &*entry.kind == "ObjectMeta" {
                pack.metadata = entry.root;
                continue;
            }
            let definition = Arc::new(Definition {
                group: entry.group.clone(),
                version: entry.version,
                kind: entry.kind.clone(),
                plural: entry.plural,
                short: entry.short,
                namespaced: entry.namespaced,
                typed: entry.typed,
                status: entry.status,
                schema: Source::Packed(entry.root),
            });
            pack.kinds.entry((entry.group, entry.kind)).or_default().push(definition);
        }
        pack
    })
}

impl Pack {
    fn node(&self, number: usize) -> &Arc<Schema> {
        let (line, read) = &self.nodes[number];
        // Types that hold themselves are none of the kinds that are packed: this ends.
        read.get_or_init(|| {
            let value: Value = serde_json::from_str(line).expect("the set-up wrote it");
            let map = value.as_object().expect("a node is a mapping");
            let child = &mut |number: &Value| {
                let number = number.as_u64().and_then(|number| usize::try_from(number).ok());
                Arc::clone(self.node(number.expect("children are numbers")))
            };
            Arc::new(read::schema(map, child))
        })
    }
}
