"""The line as far as the mixture, which is its end: spark-submit jobs/mix.py RECIPE --out RUN"""

import sys

if __name__ == "__main__":
    sys.path.pop(0)  # this folder, whose tokenize.py would hide the standard library's
    from curation.cli.run import job

    job("mix")
