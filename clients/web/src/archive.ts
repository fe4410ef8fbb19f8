/** /archive: every lesson; /archive/{id}: one lesson, replayed. */
import { moment } from './archive/moment'
import { ReplayPage } from './archive/page'
import { Shelf } from './archive/shelf'
import { keepLinkToken } from './lib/auth'
import { pathName } from './lib/lesson'
import { startShell } from './lib/shell'

const at = moment(location)
keepLinkToken()
startShell('archive')
const id = pathName(location.pathname)
void (id ? new ReplayPage(id, at) : new Shelf()).start()
