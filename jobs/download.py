"""The crawls' archives to RUN/downloads: spark-submit jobs/download.py RECIPE --out RUN"""

import sys

if __name__ == "__main__":
    sys.path.pop(0)  # this folder, whose tokenize.py would hide the standard library's
    from curation.cli.run import job

    job("download")
