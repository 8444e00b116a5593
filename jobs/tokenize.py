"""The line as far as tokens: spark-submit jobs/tokenize.py RECIPE --out RUN"""

if __name__ == "__main__":
    from curation.spark_job import job

    job("tokenize")
