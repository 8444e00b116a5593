"""The whole line: spark-submit jobs/curate.py RECIPE --out RUN"""

if __name__ == "__main__":
    from curation.spark_job import job

    job(None)
