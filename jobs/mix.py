"""The line as far as the mixture, which is its end: spark-submit jobs/mix.py RECIPE --out RUN"""

if __name__ == "__main__":
    from curation.spark_job import job

    job("mix")
