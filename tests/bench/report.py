"""JSON lines as they are measured, and a table when all is done."""

import json
import statistics

# Of all cases of a peer.
MEAN_TARGETS = {"torch": 10, "fused_omp": 1.5}


class Report:
    def __init__(self):
        self.lines = []

    def add(self, case, ours_ms, peer, peer_ms, target, peer_case=None):
        ratio = peer_ms / ours_ms
        line = {"case": case, "ours_ms": round(ours_ms, 4), "peer": peer,
                "peer_ms": round(peer_ms, 4), "ratio": round(ratio, 3),
                "target": round(target, 3), "met": ratio >= target}
        if peer_case:
            line["peer_case"] = peer_case
        self.lines.append(line)
        print(json.dumps(line), flush=True)

    def print_table(self):
        width = max((len(line["case"]) for line in self.lines), default=4)
        row = f"{{:{width}}} {{:>9}}  {{:9}} {{:>9}} {{:>7}} {{:>7}}  {{}}"
        print("\n" + row.format("case", "ours ms", "peer", "peer ms", "ratio",
                                "target", ""))
        for line in self.lines:
            print(row.format(
                line["case"], f"{line['ours_ms']:.3f}", line["peer"],
                f"{line['peer_ms']:.3f}", f"{line['ratio']:.2f}",
                f"{line['target']:.2f}",
                ("met" if line["met"] else "MISSED")
                + (f" (against {line['peer_case']})"
                   if "peer_case" in line else "")).rstrip())
        for peer, target in MEAN_TARGETS.items():
            ratios = [line["ratio"] for line in self.lines
                      if line["peer"] == peer]
            if ratios:
                mean = statistics.geometric_mean(ratios)
                print(row.format(f"geometric mean of {len(ratios)}", "", peer,
                                 "", f"{mean:.2f}", f"{target:.2f}",
                                 "met" if mean >= target else "MISSED"))
        met = sum(line["met"] for line in self.lines)
        print(f"{met} of {len(self.lines)} comparisons met their target")
