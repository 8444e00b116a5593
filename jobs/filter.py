"""The line as far as the rules: spark-submit jobs/filter.py RECIPE --out RUN"""

if __name__ == "__main__":
    from curation.spark_job import job

    job("filter")
