"""The crawls' archives to RUN/downloads: spark-submit jobs/download.py RECIPE --out RUN"""

if __name__ == "__main__":
    from curation.spark_job import job

    job("download")
