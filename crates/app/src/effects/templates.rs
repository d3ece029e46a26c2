//! Annotations and labels of issued Secrets follow the template of their Certificate.

use portolan_core::certificates::rows::TemplateWanted;
use portolan_effects::{
    sign,
    store::{Cache as _, Write},
};
use portolan_engine::Changes;
use portolan_model::{ObjectKey, input::Secret};

use super::{Context, Effect, OURS, Platform, now, wanted};

/// Writes the Secrets.
pub struct Templates;

impl<P: Platform> Effect<P> for Templates {
    fn follow(&mut self, step: &Changes, cx: &mut Context<P>) {
        let writes =
            wanted::<TemplateWanted, _>(step, cx).iter().filter_map(|row| followed(row, cx)).collect();
        cx.write_own(writes);
    }
}

/// The Secret as its template has it now, if it is one that we have issued.
fn followed(row: &TemplateWanted, cx: &Context<impl Platform>) -> Option<Write> {
    let key = ObjectKey::new("", "Secret", row.key.namespace.clone(), row.key.name.clone());
    let stored = cx.store.get(&key).filter(|stored| stored.manager == OURS)?;
    let present = cx.engine.get::<Secret>(&row.key)?;
    let mut object = stored.object.clone();
    let mut followed = Ok(());
    object.json.edit(|json| followed = sign::follow(json, row, &present, now()));
    if let Err(error) = followed {
        tracing::error!(secret = %row.key, %error, "the Secret does not follow its Certificate");
        return None;
    }
    Some(Write::Apply(Box::new(object), OURS))
}
