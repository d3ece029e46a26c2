#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn a_state_of_another_repository_or_environment_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let owner = |root: &str, env: &str| Owner { root: root.into(), env: env.into() };
    let mine = owner("/srv/platform", "dev-01");
    belongs(state.path(), &mine).unwrap();
    std::fs::write(state.path().join(OWNER), serde_json::to_vec(&mine).unwrap()).unwrap();
    belongs(state.path(), &mine).unwrap();
    for other in [owner("/srv/other", "dev-01"), owner("/srv/platform", "prod-01")] {
        let text = belongs(state.path(), &other).unwrap_err().to_string();
        assert!(text.contains("/srv/platform (--env dev-01)"), "{text}");
    }
}

#[test]
fn an_environment_never_leads_out_of_the_states() {
    let state = default_state("/srv/platform".as_ref(), "../../x").unwrap();
    assert_eq!(state.parent(), Some(&*states().unwrap()));
}

#[test]
fn a_file_and_a_missing_folder_are_said_to_be_so() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let text = find(Some(&dir.path().join("file"))).unwrap_err().to_string();
    assert!(text.contains("is a file"), "{text}");
    let text = find(Some(&dir.path().join("nothing"))).unwrap_err().to_string();
    assert!(text.contains("there is no state directory"), "{text}");
}
