//! All routes on one hostname: the group that a virtual host is, whole and cut into chunks by the first path segment
//! (design/engine.md §4.1).
#![allow(dead_code, missing_docs)]

use std::sync::Arc;

use portolan_engine::{Engine, Index, Row, world};

type Name = Arc<str>;

const CHUNKS: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub key: usize,
    pub filter: u32,
}
/// Chunk, then precedence and route: the order of the virtual host is the order of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub key: (u16, Name, usize),
    pub filter: u32,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    pub rules: Vec<Arc<Rule>>,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub key: u16,
    pub rules: Vec<Arc<Rule>>,
}
/// Which chunks there are, and nothing of what is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkName {
    pub key: u16,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualHost {
    pub chunks: Vec<u16>,
}

macro_rules! rows {
    ($($row:ty, $key:ty, $name:literal, |$r:ident| $of:expr;)*) => {$(
        impl Row for $row {
            type Key = $key;
            const NAME: &'static str = $name;
            fn key(&self) -> &$key { let $r = self; $of }
        }
    )*};
}
rows! {
    Route, usize, "routes", |r| &r.key;
    Rule, (u16, Name, usize), "rules", |r| &r.key;
    Whole, (), "whole", |_r| &();
    Chunk, u16, "chunks", |r| &r.key;
    ChunkName, u16, "chunk_names", |r| &r.key;
    VirtualHost, (), "virtual_hosts", |_r| &();
}

pub struct RulesByHost;
impl Index for RulesByHost {
    type Row = Rule;
    type Value = ();
    const NAME: &'static str = "rules by host";
    fn values(_: &Rule, out: &mut Vec<()>) {
        out.push(());
    }
}
pub struct RulesByChunk;
impl Index for RulesByChunk {
    type Row = Rule;
    type Value = u16;
    const NAME: &'static str = "rules by chunk";
    fn values(row: &Rule, out: &mut Vec<u16>) {
        out.push(row.key.0);
    }
}
pub struct ChunksByHost;
impl Index for ChunksByHost {
    type Row = ChunkName;
    type Value = ();
    const NAME: &'static str = "chunks by host";
    fn values(_: &ChunkName, out: &mut Vec<()>) {
        out.push(());
    }
}

world! {
    pub struct World {
        routes: Route [], rules: Rule [RulesByHost, RulesByChunk], whole: Whole [], chunks: Chunk [],
        names: ChunkName [ChunksByHost], hosts: VirtualHost [],
    }
}
type Cx<'a> = portolan_engine::Cx<'a, World>;

fn rules(cx: &mut Cx<'_>, route: &Arc<Route>) {
    let path = format!("/team-{:03}/service-{:06}", route.key % CHUNKS, route.key);
    let chunk = u16::try_from(route.key % CHUNKS).unwrap_or(0);
    cx.emit(Rule { key: (chunk, path.into(), route.key), filter: route.filter });
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn whole(cx: &mut Cx<'_>, (): &(), members: &[Arc<Rule>]) {
    cx.emit(Whole { rules: members.to_vec() });
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn chunks(cx: &mut Cx<'_>, chunk: &u16, members: &[Arc<Rule>]) {
    cx.emit(Chunk { key: *chunk, rules: members.to_vec() });
    cx.emit(ChunkName { key: *chunk });
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn virtual_hosts(cx: &mut Cx<'_>, (): &(), members: &[Arc<ChunkName>]) {
    cx.emit(VirtualHost { chunks: members.iter().map(|chunk| chunk.key).collect() });
}

/// An engine with all routes on one hostname, in one row or in chunks.
pub fn filled(routes: usize, chunked: bool) -> Engine<World> {
    let mut e = Engine::<World>::new();
    e.map("rules", rules).writes::<(Rule,)>();
    if chunked {
        e.group::<RulesByChunk>("chunks", chunks).writes::<(Chunk, ChunkName)>();
        e.group::<ChunksByHost>("virtual_hosts", virtual_hosts).writes::<(VirtualHost,)>();
    } else {
        e.group::<RulesByHost>("whole", whole).writes::<(Whole,)>();
    }
    assert_eq!(e.finish(), Ok(()), "the rules are in order");
    (0..routes).for_each(|key| e.put(Route { key, filter: 0 }));
    e.step(0);
    e
}
