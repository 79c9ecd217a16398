//! The arguments of `cargo xtask conformance`.

/// How the command is used.
pub(super) const USAGE: &str = "usage: cargo xtask conformance [OPTIONS] [CLIENT]...

  (nothing)             run every client on ottla and compare with the recorded transcripts
  --kafka               run them on Apache Kafka instead, and compare
  --record              run them on Apache Kafka and write conformance/expected
  --bootstrap HOST:PORT run them on a broker that runs already (a fresh one, or topics collide)
  --scenario NAME       only this scenario
  --install             fetch and build what the clients need, run nothing
";

/// The broker under test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Ottla,
    Kafka,
    Running(String),
}

impl Target {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Ottla => "ottla",
            Self::Kafka => "Apache Kafka",
            Self::Running(address) => address,
        }
    }
}

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) target: Target,
    pub(super) record: bool,
    pub(super) install_only: bool,
    pub(super) scenario: Option<String>,
    /// Empty means all.
    pub(super) clients: Vec<String>,
}

impl Options {
    pub(super) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            target: Target::Ottla,
            record: false,
            install_only: false,
            scenario: None,
            clients: Vec::new(),
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || {
                rest.next()
                    .cloned()
                    .ok_or_else(|| format!("{argument} needs a value\n\n{USAGE}"))
            };
            match argument.as_str() {
                "--kafka" => options.target = Target::Kafka,
                "--record" => {
                    options.target = Target::Kafka;
                    options.record = true;
                }
                "--help" => return Err(USAGE.to_owned()),
                "--install" => options.install_only = true,
                "--bootstrap" => options.target = Target::Running(value()?),
                "--scenario" => options.scenario = Some(value()?),
                name if !name.starts_with('-') => options.clients.push(name.to_owned()),
                other => return Err(format!("unknown option '{other}'\n\n{USAGE}")),
            }
        }
        if options.record && options.scenario.is_some() {
            return Err("--record writes whole transcripts: leave --scenario out".to_owned());
        }
        if options.record && options.target != Target::Kafka {
            return Err("only Apache Kafka's transcripts are recorded".to_owned());
        }
        Ok(options)
    }

    /// Whether Apache Kafka itself has to be there.
    pub(super) fn needs_kafka(&self) -> bool {
        self.target == Target::Kafka || self.install_only
    }
}

#[cfg(test)]
mod tests;
