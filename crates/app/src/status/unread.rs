//! The explanation of a name that nothing asks for: what was not read may, and is not known not to.

use portolan_core::{
    World,
    gitops::{rows::Unseen, verdict},
    world::Finding,
};
use portolan_engine::Engine;
use serde_json::{Value, json};

/// Sources that are named; the rest is a number.
const MOST: usize = 6;

/// `unknown` where something was not read that may bring a route for the name, with why it was not; else `absent`, with `why`.
pub fn explain(engine: &Engine<World>, asked: &str, why: &str) -> Value {
    let sources: Vec<_> = engine.rows::<Unseen>().map(|row| row.key.clone()).collect();
    let Some(first) = sources.first() else {
        return json!({
            "hostname": asked, "entryPoint": null, "state": "absent", "message": why, "steps": [], "reasons": [],
        });
    };
    let steps: Vec<Value> = sources
        .iter()
        .take(MOST)
        .map(|source| {
            // What is told of the source comes before what is told of its object.
            let of_it: Vec<_> = engine
                .rows::<Finding>()
                .map(|row| &row.problem)
                .filter(|one| one.object == *source)
                .collect();
            let told = of_it.iter().find(|problem| verdict::left_out(problem.code).is_some());
            let told = told.or_else(|| of_it.iter().find(|problem| verdict::hidden(problem).is_some()));
            let said = told.map_or_else(
                || "it was not read whole".to_owned(),
                |problem| format!("{} ({}); {}", problem.message, problem.code, problem.hint),
            );
            json!({"step": "source", "ok": false, "evidence": format!("{source}: {said}")})
        })
        .collect();
    let more = match sources.len() {
        1 => ", which was not read whole, may bring one".to_owned(),
        2 => format!(" or {}, which were not read whole, may bring one", sources[1]),
        many => format!(" or one of {} more, which were not read whole, may bring one", many - 1),
    };
    let message = format!("no route of what was read asks for {asked}; {first}{more}");
    json!({
        "hostname": asked, "entryPoint": null, "state": "unknown", "message": message, "steps": steps, "reasons": [],
    })
}

#[cfg(test)]
mod tests {
    use portolan_core::world;
    use portolan_model::{Code, Name, ObjectKey, Problem, Severity, input::SourceProblems};

    use super::*;

    #[test]
    fn what_was_not_read_may_bring_the_route() {
        let mut engine = world::engine();
        let host = "app1.dev.example.com";
        let none = explain(&engine, host, "no route asks for it");
        assert_eq!((&none["state"], &none["message"]), (&"absent".into(), &"no route asks for it".into()));
        let key = ObjectKey::new("argoproj.io", "Application", "argocd", "team-apps");
        let problem = Problem {
            object: key.clone(),
            code: Code(627),
            field: "".into(),
            severity: Severity::Warning,
            message: "chart charts/team-apps is being rendered for 3 s".into(),
            hint: "wait".into(),
        };
        engine.put(SourceProblems { key: key.clone(), problems: vec![problem] });
        engine.put(Unseen { key, namespace: Name::new("team-a") });
        let _ = engine.step(0);
        let some = explain(&engine, host, "no route asks for it");
        assert_eq!(some["state"], "unknown");
        let message = some["message"].as_str().unwrap_or_default();
        assert!(message.contains("Application/argocd/team-apps, which was not read whole"), "{message}");
        let evidence = some["steps"][0]["evidence"].as_str().unwrap_or_default();
        assert!(evidence.contains("is being rendered for 3 s (PTL-0627)"), "{some:#}");
    }
}
