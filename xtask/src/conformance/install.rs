//! Fetches and builds what the clients need, by package name, into `conformance/.cache`.
//!
//! A step whose inputs did not change since it last succeeded is skipped: a stamp file holds them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Places;
use super::process::{present, succeed};

/// Apache Kafka's server.
pub(crate) fn kafka(places: &Places) -> Result<(), String> {
    jars(places, "kafka")
}

/// Kafka's command line tools.
pub(crate) fn kafka_tools(places: &Places) -> Result<(), String> {
    jars(places, "kafka-tools")
}

/// The Java client, and the programs on it compiled.
pub(crate) fn java(places: &Places) -> Result<(), String> {
    java_programs(places, "java")
}

/// Connect, MirrorMaker 2 and Streams, and the programs on them compiled.
pub(crate) fn frameworks(places: &Places) -> Result<(), String> {
    java_programs(places, "frameworks")
}

/// The jars that a folder's pom.xml names, and the sources in its `src` compiled.
fn java_programs(places: &Places, name: &str) -> Result<(), String> {
    jars(places, name)?;
    let sources = files(&places.suite.join(name).join("src"), "java")?;
    let home = places.cache.join(name);
    once(places, &format!("{name}-classes"), &sources, || {
        let mut javac = Command::new("javac");
        javac.arg("-d").arg(home.join("classes")).arg("-cp");
        javac
            .arg(format!("{}/*", home.join("jars").display()))
            .args(&sources);
        succeed(javac).map(drop)
    })
}

/// Apicurio Registry, as its project packs it.
pub(crate) fn apicurio(places: &Places) -> Result<(), String> {
    jars(places, "apicurio")?;
    let pom = places.suite.join("apicurio/pom.xml");
    once(places, "apicurio-unpacked", &[pom], || {
        let home = places.cache.join("apicurio");
        for packed in files(&home.join("jars"), "gz")? {
            let mut tar = Command::new("tar");
            tar.arg("-xzf").arg(packed).arg("-C").arg(&home);
            succeed(tar)?;
        }
        Ok(())
    })
}

/// A Go program of the suite.
pub(crate) fn go(places: &Places, name: &str) -> Result<(), String> {
    go_program(places, &places.suite.join(name), name)
}

/// The Go program in a folder; Go itself knows what has to be built again.
pub(crate) fn go_program(places: &Places, folder: &Path, name: &str) -> Result<(), String> {
    need("go", "golang")?;
    let mut go = Command::new("go");
    go.arg("build")
        .arg("-o")
        .arg(places.cache.join("bin").join(name))
        .arg(".");
    go.current_dir(folder);
    succeed(go).map(drop)
}

/// A Python environment with the pinned requirements.
pub(crate) fn python(places: &Places) -> Result<(), String> {
    let requirements = places.suite.join("python/requirements.txt");
    python_environment(places, "venv", &requirements)
}

/// A Python environment with what a file of requirements names.
pub(crate) fn python_environment(
    places: &Places,
    name: &str,
    requirements: &Path,
) -> Result<(), String> {
    need("python3", "python3-venv")?;
    let environment = places.cache.join(name);
    let inputs = [requirements.to_path_buf()];
    once(places, &format!("python-{name}"), &inputs, || {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&environment);
        succeed(venv)?;
        let mut pip = Command::new(environment.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(requirements);
        succeed(pip).map(drop)
    })
}

/// The npm packages of a program of the suite.
pub(crate) fn npm(places: &Places, name: &str) -> Result<(), String> {
    need("npm", "npm")?;
    let folder = places.suite.join(name);
    once(places, name, &[folder.join("package-lock.json")], || {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--silent", "--no-audit", "--no-fund"])
            .current_dir(&folder);
        succeed(npm).map(drop)
    })
}

/// The C program on Debian's librdkafka.
pub(crate) fn librdkafka(places: &Places) -> Result<(), String> {
    if !Path::new("/usr/include/librdkafka/rdkafka.h").is_file() {
        apt("librdkafka-dev")?;
    }
    let sources = files(&places.suite.join("librdkafka"), "c")?;
    once(places, "librdkafka", &sources, || {
        let mut cc = Command::new("cc");
        cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-o"]);
        cc.arg(places.cache.join("bin/librdkafka"))
            .args(&sources)
            .arg("-lrdkafka");
        succeed(cc).map(drop)
    })
}

/// Debian's kcat.
pub(crate) fn kcat(_places: &Places) -> Result<(), String> {
    if present("kcat") { Ok(()) } else { apt("kcat") }
}

/// Debian's protoc.
pub(crate) fn protoc() -> Result<(), String> {
    if present("protoc") {
        Ok(())
    } else {
        apt("protobuf-compiler")
    }
}

/// Debian's valgrind.
pub(crate) fn valgrind() -> Result<(), String> {
    if present("valgrind") {
        Ok(())
    } else {
        apt("valgrind")
    }
}

/// What the flights need: the data set as JSON lines, and a Go client generated from the proto file.
pub(crate) fn flights(places: &Places) -> Result<(), String> {
    let folder = places.suite.join("flights");
    let inputs = [folder.join("requirements.txt"), folder.join("make.py")];
    once(places, "flights-data", &inputs, || {
        let environment = places.cache.join("venv-flights");
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&environment);
        succeed(venv)?;
        // Without its dependencies: only the data in it is used.
        let mut pip = Command::new(environment.join("bin/pip"));
        pip.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "-r",
        ]);
        pip.arg(&inputs[0]);
        succeed(pip)?;
        let mut make = Command::new(environment.join("bin/python"));
        make.arg(&inputs[1]).arg(places.cache.join("flights.jsonl"));
        succeed(make).map(drop)
    })?;
    grpc_client(places)?;
    go(places, "flights")
}

const GO_PLUGINS: [&str; 2] = [
    "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12",
    "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
];
const GRPCURL: &str = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4";

/// grpcurl.
pub(crate) fn grpcurl(places: &Places) -> Result<(), String> {
    need("go", "golang")?;
    once(places, "grpcurl-1.9.4", &[], || go_install(places, GRPCURL))
}

fn go_install(places: &Places, tool: &str) -> Result<(), String> {
    let mut go = Command::new("go");
    go.args(["install", tool])
        .env("GOBIN", places.cache.join("bin"));
    succeed(go).map(drop)
}

/// The Go code that protoc generates from proto/broker.proto, as a module.
#[expect(
    clippy::disallowed_methods,
    reason = "generated files of a developer's tool"
)]
pub(crate) fn grpc_client(places: &Places) -> Result<(), String> {
    protoc()?;
    grpcurl(places)?;
    let proto = places.root.join("proto");
    once(places, "grpc-client", &[proto.join("broker.proto")], || {
        let programs = places.cache.join("bin");
        for tool in GO_PLUGINS {
            go_install(places, tool)?;
        }
        let output = places.cache.join("grpc");
        let module = output.join("broker");
        fs::create_dir_all(&module).map_err(|e| format!("{}: {e}", module.display()))?;
        let mut protoc = Command::new("protoc");
        for plugin in ["go", "go-grpc"] {
            let program = programs.join(format!("protoc-gen-{plugin}"));
            protoc.arg(format!(
                "--plugin=protoc-gen-{plugin}={}",
                program.display()
            ));
            protoc.arg(format!("--{plugin}_out={}", output.display()));
        }
        protoc.arg("broker.proto").current_dir(&proto);
        succeed(protoc)?;
        let go_mod = module.join("go.mod");
        fs::write(&go_mod, "module ottla/conformance/broker\n\ngo 1.26.0\n")
            .map_err(|e| format!("{}: {e}", go_mod.display()))
    })
}

/// The jars a pom.xml of the suite names.
fn jars(places: &Places, name: &str) -> Result<(), String> {
    need("java", "openjdk-17-jdk-headless")?;
    need("mvn", "maven")?;
    let pom = places.suite.join(name).join("pom.xml");
    once(
        places,
        &format!("{name}-jars"),
        std::slice::from_ref(&pom),
        || {
            let mut maven = Command::new("mvn");
            maven
                .args(["-q", "-B", "-f"])
                .arg(&pom)
                .arg("dependency:copy-dependencies");
            let folder = places.cache.join(name).join("jars");
            maven.arg(format!("-DoutputDirectory={}", folder.display()));
            succeed(maven).map(drop)
        },
    )
}

fn need(program: &str, package: &str) -> Result<(), String> {
    if present(program) {
        return Ok(());
    }
    Err(format!(
        "conformance needs '{program}' (Debian: apt-get install {package})"
    ))
}

fn apt(package: &str) -> Result<(), String> {
    let mut update = Command::new("apt-get");
    update.args(["update", "-q"]);
    succeed(update)?;
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "-q", "--no-install-recommends", package]);
    succeed(install).map(drop)
}

/// Runs a step unless its inputs are those of the last success.
#[expect(
    clippy::disallowed_methods,
    reason = "stamp files of a developer's tool"
)]
fn once(
    places: &Places,
    step: &str,
    inputs: &[PathBuf],
    run: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    let mut wanted = String::new();
    for input in inputs {
        let text = fs::read_to_string(input).map_err(|e| format!("{}: {e}", input.display()))?;
        wanted.push_str(&text);
    }
    let stamps = places.cache.join("stamps");
    let folders = [stamps.clone(), places.cache.join("bin")];
    for folder in folders {
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let stamp = stamps.join(step);
    if fs::read_to_string(&stamp).is_ok_and(|last| last == wanted) {
        return Ok(());
    }
    eprintln!("installing {step}");
    run()?;
    fs::write(&stamp, wanted).map_err(|e| format!("{}: {e}", stamp.display()))
}

fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, String> {
    let listed = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut all: Vec<PathBuf> = listed
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    all.sort();
    Ok(all)
}
