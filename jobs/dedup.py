"""The line as far as near duplicates: spark-submit jobs/dedup.py RECIPE --out RUN"""

if __name__ == "__main__":
    from curation.spark_job import job

    job("dedup")
