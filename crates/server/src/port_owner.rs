//! Finds out which process listens on a port, for the message "port in use".
//!
//! Linux only, from `/proc`; anything unreadable means that the owner stays unnamed.

/// "pid 4711 (java)", when it can be told.
pub fn port_owner(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inodes: Vec<String> = tables
        .iter()
        .flat_map(|table| listening_inodes(table, port))
        .collect();
    let processes = std::fs::read_dir("/proc").ok()?;
    for process in processes.flatten() {
        let Ok(pid) = process.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let Ok(descriptors) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        for descriptor in descriptors.flatten() {
            let Ok(target) = std::fs::read_link(descriptor.path()) else {
                continue;
            };
            let target = target.to_string_lossy();
            if inodes
                .iter()
                .any(|inode| target == format!("socket:[{inode}]"))
            {
                let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(format!("pid {pid} ({})", name.trim()));
            }
        }
    }
    None
}

/// Inodes of the sockets of `table` that listen on `port`. Source of the columns: proc(5).
fn listening_inodes(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let text = std::fs::read_to_string(table).unwrap_or_default();
    let wanted = format!(":{port:04X}");
    let inode_of = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let listens = columns.get(1)?.ends_with(&wanted) && *columns.get(3)? == LISTEN;
        listens
            .then(|| columns.get(9).map(ToString::to_string))
            .flatten()
    };
    text.lines().skip(1).filter_map(inode_of).collect()
}

#[cfg(test)]
mod tests;
