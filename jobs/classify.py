"""The line as far as the quality filter: spark-submit jobs/classify.py RECIPE --out RUN"""

if __name__ == "__main__":
    from curation.spark_job import job

    job("classify")
