//! A source that is a kustomization.

use std::path::Path;

use serde_json::Value;

use super::{
    super::{
        application::{Helm, Source},
        helm::{self, Failure, Request},
        kustomization,
        manifests::{self, Manifests},
        problems,
        source::Reader,
        stage,
        stamp::Stamp,
        variables,
    },
    ask_origins, build,
    files::{self, Chart, Staged},
    options::Kustomize,
    origins,
};
use crate::typed;

impl Reader<'_> {
    /// Builds the kustomization of a folder; what it brought before stays where that fails.
    pub(in super::super) fn kustomization(&mut self, source: &Source, folder: &Path, shown: &str) {
        let shown = if shown.is_empty() { "." } else { shown };
        self.out.shown = Some(format!("{shown} (kustomize)"));
        let options =
            match source.kustomize.as_ref().filter(|value| !value.is_null()).map(typed::read::<Kustomize>) {
                None => Kustomize::default(),
                Some(Ok(options)) => options,
                Some(Err(why)) => {
                    self.fail(problems::application_invalid, ".kustomize", format!("kustomize: {why}"));
                    return;
                }
            };
        if source.kustomize.is_some() && !kustomization::stands(folder, &kustomization::FILES) {
            let message = format!(
                "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{shown}', which spec.source.kustomize is for"
            );
            self.fail(problems::kustomize_failed, ".kustomize", message);
            return;
        }
        let staged = files::collect(self.checkout, folder, &self.pins).and_then(|mut staged| {
            let ready = self.adapt(&mut staged, &options)?;
            Ok(ready.then_some(staged))
        });
        let staged = match staged {
            Ok(Some(staged)) => staged,
            Ok(None) => return,
            Err(why) => {
                self.fail(
                    problems::kustomize_failed,
                    ".path",
                    format!("kustomization {shown} cannot be read: {why}"),
                );
                return;
            }
        };
        for (file, what) in &staged.remote {
            let message = format!("{file} names {what}, which is remote and was not fetched: it is left out");
            self.report(problems::remote_source, ".path", message);
        }
        for (what, absent) in staged.absent.clone() {
            let (report, message) = absent.told(&what);
            self.fail(report, ".path", message);
        }
        if !options.version.is_empty() {
            self.out.substitutions.push(format!(
                "Kustomize {} of {} is the one that is installed here",
                options.version,
                self.name()
            ));
        }
        for chart in &staged.replaced {
            self.component(chart);
        }
        if let Some((key, read)) = self.built(&staged, &options, folder, shown) {
            self.old.parts.remove(folder);
            self.keep(folder, Some(Stamp::Chart(key)), false, read);
        }
    }

    /// Writes into the copy what the Application asks for, and asks for origins. False if the Application is wrong.
    fn adapt(&mut self, staged: &mut Staged, options: &Kustomize) -> Result<bool, String> {
        let mut components = Vec::new();
        for path in &options.components {
            if staged.add_component(self.checkout, path, &self.pins)? || !options.ignore_missing_components {
                components.push(path.clone());
            }
        }
        let Some((path, mut own)) = staged.own.take() else { return Ok(true) };
        let (application, asked) = (self.application, self.asked());
        if let Err((field, message)) =
            options.write(&mut own, &components, |text| variables::fill(text, application, asked))
        {
            self.fail(problems::application_invalid, &format!(".kustomize.{field}"), message);
            return Ok(false);
        }
        staged.strip = ask_origins(&mut own);
        staged.change(&path, &own);
        staged.own = Some((path, own));
        Ok(true)
    }

    /// Values of a chart that Portolan stands in for, merged by Helm.
    fn component(&mut self, chart: &Chart) {
        let (staged, helm) = (stage::empty(&chart.name), Helm::default());
        let namespace = self.pending.namespace().to_string();
        let request = Request {
            staged: &staged,
            release: &chart.name,
            namespace: &namespace,
            values: chart.values.clone(),
            files: Vec::new(),
            helm: &helm,
            shown: &chart.name,
        };
        let tools = self.context.tools;
        let (subject, old) = (format!("{} {}", self.subject(), chart.name), &self.old.values);
        let old = old.iter().find(|(name, ..)| *name == chart.name).cloned();
        let patience = old.as_ref().map(|_| self.patience());
        let key = helm::key(tools, &request);
        match helm::template_beside(tools, &key, &request, &subject, patience) {
            Ok(text) => {
                let values =
                    manifests::rendered(&text, &chart.name, &self.name(), None).values.unwrap_or(Value::Null);
                self.out.values.push((chart.name.clone(), chart.version.clone(), values));
            }
            Err(Failure::Later(_)) => {
                self.out.values.extend(old);
                self.out.again = true;
            }
            Err(failure) => {
                self.failed(failure, &format!("values of chart {}", chart.name), problems::helm_failed);
            }
        }
    }

    /// The text of the build as documents, with its key; `None` if it is as it was, or failed.
    fn built(
        &mut self,
        staged: &Staged,
        options: &Kustomize,
        folder: &Path,
        shown: &str,
    ) -> Option<(String, Manifests)> {
        let tools = self.context.tools;
        let key = build::key(tools, staged, options);
        let same =
            self.old.parts.get(folder).is_some_and(|part| part.stamp == Some(Stamp::Chart(key.clone())));
        if same && !self.context.forced.contains(folder) {
            self.take_over(folder);
            return None;
        }
        let patience = self.patience_for(&staged.replaced);
        match build::build(tools, &key, staged, options, &self.subject(), patience) {
            Ok(text) => Some((key, origins::objects(&text, staged, &self.name(), self.context.lines))),
            Err(failure) => {
                self.unbuilt(failure, staged, &format!("kustomization {shown}"));
                None
            }
        }
    }

    /// Kustomize did not build it.
    pub(in super::super) fn unbuilt(&mut self, failure: Failure, staged: &Staged, what: &str) {
        let lacking = match &failure {
            Failure::Chart(said) => staged.lacks(said).map(|lacking| (lacking, said)),
            _ => None,
        };
        if let Some((lacking, said)) = lacking {
            let env = self.context.env;
            let message = format!("{what} for environment {env} does not build without {lacking}: {said}");
            self.fail(problems::remote_source, ".path", message);
        } else {
            self.failed(failure, what, problems::kustomize_failed);
        }
    }

    /// A part that is as it was.
    pub(in super::super) fn take_over(&mut self, folder: &Path) {
        let at = folder.to_owned();
        self.out.parts.extend(self.old.parts.remove(folder).map(|part| (at.clone(), part)));
        self.out.applications.extend(self.old.applications.remove(folder).map(|all| (at.clone(), all)));
        self.out.facts.extend(self.old.facts.remove(folder).map(|all| (at.clone(), all)));
        self.out.standing.extend(self.old.standing.remove(folder).map(|all| (at, all)));
    }

    pub(in super::super) fn failed(
        &mut self,
        failure: Failure,
        what: &str,
        problem: super::super::source::Report,
    ) {
        let env = self.context.env;
        match failure {
            Failure::Chart(said) => {
                self.fail(problem, ".path", format!("{what} for environment {env} does not build: {said}"));
            }
            Failure::Tool(why) => self.not_built(&why, what, problems::kustomize_unusable),
            Failure::Over(why) => self.not_built(&why, what, problems::kustomize_over),
            Failure::Later(time) => self.late(what, time),
        }
    }

    fn not_built(&mut self, why: &str, what: &str, problem: super::super::source::Report) {
        let message = match &self.context.tools.kustomize {
            Ok(_) => format!("{what} for environment {} was not built: {why}", self.context.env),
            Err(why) => format!("no kustomization is built: {why}"),
        };
        self.unmade(problem, message);
    }
}
