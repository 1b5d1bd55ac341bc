//! Benchmarks of aqueduct beside its peers: one Markdown table.
//!
//! ```text
//! cargo run --release -p aqueduct-benches -- [WORKLOAD…] [--full] [--rounds N]
//! ```
//!
//! Every implementation of a workload must give the known answer before its time counts. They run
//! in turn, and what is printed are medians, in nanoseconds an item, each beside its ratio to the
//! first implementation, which is the bound: what somebody would write by hand for just this.

mod data;
mod workload;
mod workloads;

use clap::Parser;

use data::Data;

/// Prints one table: workload, implementation, nanoseconds an item, ratio to the bound.
#[derive(Debug, Parser)]
struct Args {
    /// Only workloads whose name contains one of these.
    #[arg(value_name = "WORKLOAD")]
    only: Vec<String>,

    /// At full size, not at a tenth of it.
    #[arg(long)]
    full: bool,

    /// How often each implementation is measured.
    #[arg(long, value_name = "N", default_value_t = 11)]
    rounds: u32,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let asked = |name: &str| {
        args.only.is_empty() || args.only.iter().any(|part| name.contains(part.as_str()))
    };
    anyhow::ensure!(
        workloads::ALL.iter().any(|(name, _)| asked(name)),
        "no such workload; there are: {}",
        workloads::ALL.map(|(name, _)| name).join(", ")
    );
    let data = Data::new(args.full);
    println!("| workload | implementation | ns an item, median | least | ratio to the bound |");
    println!("|---|---|---|---|---|");
    for (name, workload) in workloads::ALL {
        if !asked(name) {
            continue;
        }
        for row in workload(&data).measure(name, args.rounds)? {
            println!(
                "| {name} | {} | {:.2} | {:.2} | {:.2} |",
                row.implementation, row.median, row.least, row.ratio
            );
        }
    }
    Ok(())
}
