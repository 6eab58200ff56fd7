"""JSON lines as they are measured, and a table when all is done."""

import json
import statistics


class Report:
    def __init__(self, mean_targets=None):
        """`mean_targets` are, by peer, those of its ratios' geometric mean."""
        self.mean_targets = mean_targets or {}
        self.lines = []

    def add(self, case, ours, peer, peers, target, peer_case=None, unit="ms",
            **more):
        """`ours` and `peers` are costs in `unit`; without a target (None) the
        ratio is only reported. `more` goes into the line as it is."""
        ratio = peers / ours
        line = {"case": case, f"ours_{unit}": round(ours, 4), "peer": peer,
                f"peer_{unit}": round(peers, 4), "ratio": round(ratio, 3),
                "target": None if target is None else round(target, 3),
                "met": None if target is None else ratio >= target}
        if peer_case:
            line["peer_case"] = peer_case
        line.update(more)
        self.lines.append(line)
        print(json.dumps(line), flush=True)

    def print_table(self):
        width = max((len(line["case"]) for line in self.lines), default=4)
        row = f"{{:{width}}} {{:>9}}  {{:9}} {{:>9}} {{:>7}} {{:>7}}  {{}}"
        print("\n" + row.format("case", "ours ms", "peer", "peer ms", "ratio",
                                "target", ""))
        for line in self.lines:
            print(row.format(*cells(line)).rstrip())
        for peer, target in self.mean_targets.items():
            ratios = [line["ratio"] for line in self.lines
                      if line["peer"] == peer]
            if ratios:
                mean = statistics.geometric_mean(ratios)
                print(row.format(f"geometric mean of {len(ratios)}", "", peer,
                                 "", f"{mean:.2f}", f"{target:.2f}",
                                 "met" if mean >= target else "MISSED"))
        judged = [line["met"] for line in self.lines
                  if line["met"] is not None]
        print(f"{sum(judged)} of {len(judged)} comparisons met their target")


def cells(line):
    unit = "ms" if "ours_ms" in line else "mib"
    target, verdict = "", ""
    if line["target"] is not None:
        target = f"{line['target']:.2f}"
        verdict = "met" if line["met"] else "MISSED"
    if "peer_case" in line:
        verdict += f" (against {line['peer_case']})"
    if unit == "mib":
        verdict += " (MiB)"
    return (line["case"], f"{line[f'ours_{unit}']:.3f}", line["peer"],
            f"{line[f'peer_{unit}']:.3f}", f"{line['ratio']:.2f}", target,
            verdict)
