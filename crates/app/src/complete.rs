//! Completion of the command line and manual pages, from the definitions that `--help` shows.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::cli::Cli;

/// Arguments of `completion`.
#[derive(clap::Args)]
pub struct Completion {
    /// The shell. For bash: source <(portolan completion bash)
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shell {
    Bash,
    Fish,
    Zsh,
}

/// Arguments of `man`.
#[derive(clap::Args)]
pub struct Man {
    /// Folder for portolan.1, portolan-up.1 and so on; the main page is printed if left out
    dir: Option<PathBuf>,
}

/// `portolan completion`.
///
/// # Errors
/// When the output cannot be written.
pub fn completion(args: &Completion) -> anyhow::Result<u8> {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Fish => clap_complete::Shell::Fish,
        Shell::Zsh => clap_complete::Shell::Zsh,
    };
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "portolan", &mut out);
    crate::out::own(&out)?;
    Ok(0)
}

/// `portolan man`.
///
/// # Errors
/// When the folder or the output cannot be written.
pub fn man(args: &Man) -> anyhow::Result<u8> {
    let mut command = Cli::command();
    command.build();
    let Some(dir) = &args.dir else {
        let mut out = Vec::new();
        clap_mangen::Man::new(command).render(&mut out)?;
        crate::out::own(&out)?;
        return Ok(0);
    };
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(dir)?;
        let mut pages = Vec::new();
        pages_of("portolan".to_owned(), &command, &mut pages);
        for (name, page) in pages {
            let mut out = Vec::new();
            clap_mangen::Man::new(page).render(&mut out)?;
            std::fs::write(dir.join(format!("{name}.1")), out)?;
        }
        Ok(())
    };
    write().with_context(|| format!("the manual pages cannot be written to {}", dir.display()))?;
    Ok(0)
}

/// The page of a verb and those of the verbs below it. `help` is none: each verb has `--help`, and a page that refers to one
/// that is not written leads nowhere.
fn pages_of(name: String, command: &clap::Command, pages: &mut Vec<(String, clap::Command)>) {
    for verb in command.get_subcommands().filter(|verb| is_told(verb)) {
        pages_of(format!("{name}-{}", verb.get_name()), verb, pages);
    }
    let mut page = command.clone().disable_help_subcommand(true);
    let other: Vec<String> =
        page.get_subcommands().filter(|verb| !is_told(verb)).map(|verb| verb.get_name().to_owned()).collect();
    for verb in other {
        page = page.mut_subcommand(verb, |verb| verb.hide(true));
    }
    pages.push((name.clone(), page.name(name)));
}

fn is_told(verb: &clap::Command) -> bool {
    !verb.is_hide_set() && verb.get_name() != "help"
}
