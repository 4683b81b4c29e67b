"""Prompts of MMLU, made once more from the published files by another reader."""
import csv
import io
import os
import zipfile


def prompts_of(data):
    """The text of a sample's prompt, made once more from the file."""
    def rows(end):
        for root, _, files in os.walk(data):
            if "mmlu.zip" in files:
                z = zipfile.ZipFile(root + "/mmlu.zip")
                return list(csv.reader(io.StringIO(z.read(next(n for n in z.namelist() if n.endswith(end))).decode(), newline="")))
        for root, _, files in os.walk(data):
            if os.path.basename(end) in files and "mmlu" in root:
                return list(csv.reader(open(f"{root}/{os.path.basename(end)}", newline="", encoding="utf-8")))
    files = {}

    def prompt(task, index, k):
        if task not in files:
            files[task] = rows(f"dev/{task}_dev.csv"), rows(f"test/{task}_test.csv")
        dev, test = files[task]
        one = lambda r, a: r[0] + "".join(f"\n{c}. {r[1 + i]}" for i, c in enumerate("ABCD")) + "\nAnswer:" + (f" {r[5]}\n\n" if a else "")
        head = f"The following are multiple choice questions (with answers) about {''.join(' ' + w for w in task.split('_'))}.\n\n"
        return head + "".join(one(r, True) for r in dev[:k]) + one(test[index], False)
    return prompt
